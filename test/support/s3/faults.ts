/** What shall go wrong, once its request comes. One of these, as a rule; `perform` and `delayMs` go with the others. */
export interface Fault {
  /** Answers with this status and an error document. */
  status?: number
  /** The code in that document; without it the usual one for the status. */
  code?: string
  /** Cuts the connection before anything is done: at once, or after so many bytes of the body. */
  dropConnection?: boolean | { afterBytes: number }
  /** Does what was asked, then cuts the connection without a word. */
  dropReply?: boolean
  /** Answers, and cuts the connection after so many bytes of the body; `hangs`: says nothing more instead. */
  cutReply?: { afterBytes: number; hangs?: boolean }
  /** Never answers. `'after'`: does what was asked first. */
  hang?: boolean | 'after'
  /** Waits so long before it starts. */
  delayMs?: number
  /** Answers 200 with an error document, as S3 may for Complete and Copy. */
  errorBodyWith200?: boolean
  /** The multipart upload the request names is gone when it comes, as after a lifecycle rule. */
  abortMultipart?: boolean
  /** With `status` or `errorBodyWith200`: what was asked is done all the same. */
  perform?: boolean
}

/** Which requests a fault is for. */
interface Match {
  key?: string | RegExp
  partNumber?: number
  /** How many requests it hits; 1 unless told. */
  times?: number
  /** How many matching requests pass before. */
  skip?: number
}

interface ArmedFault {
  readonly hits: number
  /** Resolves when the fault hits for the first time, before anything is answered. */
  readonly hit: Promise<void>
  cancel(): void
}

export interface Faults {
  /** Arms `fault` for the next request of `operation` (`*` for any), or for every one with `times: Infinity`. */
  next(operation: string, fault: Fault & Match): ArmedFault
  /** From now on a `share` of all requests meets one of `faults`, chosen by `random` (0 to 1, from a seed). */
  sometimes(random: () => number, share: number, faults: Fault[], operations?: string[]): void
  clear(): void
}

export interface FaultBook extends Faults {
  find(request: { operation: string; key: string | null; partNumber: number | null }): Fault | null
}

export function createFaults(): FaultBook {
  let armed: { matches: (request: Parameters<FaultBook['find']>[0]) => boolean; strike: () => Fault | null }[] = []
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
        matches: (request: Parameters<FaultBook['find']>[0]) =>
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
