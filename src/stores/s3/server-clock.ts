/** An S3 server's time as its answers show it. Requests are signed with it, as in the AWS SDK. */
export interface ServerClock {
  now(): Date
  /**
   * Compares the time of a signature with the `Date` of the error response and corrects the clock. True when they differ so much that
   * the request should be signed and sent again.
   */
  correct(signedAt: Date, date: string | undefined): boolean
}

// S3 refuses a difference of 15 minutes; the SDK corrects the clock from 5 minutes on: smithy-lang/smithy-typescript, isClockSkewed.
const allowedMs = 5 * 60_000

/** A clock that follows this machine's until `correct` finds a difference. */
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
