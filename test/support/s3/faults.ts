/** How a request fails. Usually one of these fields; `perform` and `delayMs` combine with the others. */
export interface Fault {
  /** Responds with this status and an error document. */
  status?: number
  /** The code in that document; by default the usual one for the status. */
  code?: string
  /** Closes the connection without performing the request: at once, or after so many bytes of the body. */
  dropConnection?: boolean | { afterBytes: number }
  /** Performs the request, then closes the connection without a response. */
  dropReply?: boolean
  /** Closes the connection after so many bytes of the response body; with `hangs` it stalls instead. */
  cutReply?: { afterBytes: number; hangs?: boolean }
  /** Never responds. With `'after'` it performs the request first. */
  hang?: boolean | 'after'
  /** The delay before the request is handled. */
  delayMs?: number
  /** Responds with 200 and an error document, as S3 may for Complete and Copy. */
  errorBodyWith200?: boolean
  /** Aborts the multipart upload of the request first, like a lifecycle rule. */
  abortMultipart?: boolean
  /** With `status` or `errorBodyWith200`: performs the request all the same. */
  perform?: boolean
}

/** The requests to which a fault applies. */
interface Match {
  key?: string | RegExp
  partNumber?: number
  /** How many requests it hits; 1 by default. */
  times?: number
  /** How many matching requests pass first. */
  skip?: number
}

interface ArmedFault {
  readonly hits: number
  /** Resolves when the fault hits for the first time, before the response. */
  readonly hit: Promise<void>
  cancel(): void
}

export interface Faults {
  /** Arms `fault` for the next request of `operation` (`*` for any), or for every one with `times: Infinity`. */
  next(operation: string, fault: Fault & Match): ArmedFault
  /** From now on a `share` of all requests gets one of `faults`, chosen by `random` (0 to 1, from a seed). */
  sometimes(random: () => number, share: number, faults: Fault[], operations?: string[]): void
  clear(): void
}

export interface FaultRegistry extends Faults {
  find(request: { operation: string; key: string | null; partNumber: number | null }): Fault | null
}

export function createFaults(): FaultRegistry {
  let armed: { matches: (request: Parameters<FaultRegistry['find']>[0]) => boolean; strike: () => Fault | null }[] = []
  let chance: ((operation: string) => Fault | null) | null = null
  return {
    next(operation, { key, partNumber, times = 1, skip = 0, ...fault }) {
      const { promise, resolve } = Promise.withResolvers<void>()
      let passed = 0
      const cancel = () => {
        armed = armed.filter((each) => each !== entry)
      }
      const state = { hits: 0, hit: promise, cancel }
      const entry = {
        matches: (request: Parameters<FaultRegistry['find']>[0]) =>
          (operation === '*' || operation === request.operation) &&
          (partNumber === undefined || partNumber === request.partNumber) &&
          (key === undefined || (typeof key === 'string' ? key === request.key : key.test(request.key ?? ''))),
        strike: () => {
          if (passed++ < skip) return null
          state.hits++
          if (state.hits >= times) cancel()
          resolve()
          return fault
        },
      }
      armed.push(entry)
      return state
    },
    sometimes(random, share, faults, operations) {
      chance = (operation) => {
        if (operations && !operations.includes(operation)) return null
        if (random() >= share) return null
        return faults[Math.floor(random() * faults.length)] ?? null
      }
    },
    clear() {
      armed = []
      chance = null
    },
    find(request) {
      for (const entry of armed) {
        if (!entry.matches(request)) continue
        const fault = entry.strike()
        if (fault) return fault
      }
      return chance?.(request.operation) ?? null
    },
  }
}
