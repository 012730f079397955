/** The time of an S3 server, as far as its answers have shown that it is not ours. Requests are signed with it, as the AWS SDK does. */
export interface ServerClock {
  now(): Date
  /**
   * Compares the moment of a signature with the `Date` of its refusal and corrects the clock. True when they differ so much
   * that the request is worth another signature.
   */
  correct(signedAt: Date, date: string | undefined): boolean
}

// S3 refuses a difference of 15 minutes; the SDK corrects one of five: smithy-lang/smithy-typescript, isClockSkewed.
const allowedMs = 5 * 60_000

/** One that trusts this machine's clock until a server says otherwise. */
export function createServerClock(wallMs: () => number = Date.now): ServerClock {
  let offsetMs = 0
  return {
    now: () => new Date(wallMs() + offsetMs),
    correct(signedAt, date) {
      const serverMs = Date.parse(date ?? '')
      if (Number.isNaN(serverMs) || Math.abs(serverMs - signedAt.getTime()) < allowedMs) return false
      offsetMs = serverMs - wallMs()
      return true
    },
  }
}
