/*
 * Rate limits per minute by the generic cell rate algorithm (GCRA), which needs one timestamp for each name. Every event moves the
 * timestamp on by its share of a minute, and is allowed while the timestamp is at most a minute ahead. So after a quiet minute a full
 * minute's number of events may come at once, and then one each time a share has passed.
 */

const minuteMs = 60_000
// Shares are not whole milliseconds, and a sum of them must not exceed the minute by a rounding error.
const roundingMs = 1

/**
 * Counts one event at `nowMs`. Returns the timestamp to keep as `at`. When the rate is exceeded, `waitMs` is above 0 and `at` is
 * unchanged.
 */
export function countOne(at: number | null, nowMs: number, perMinute: number): { at: number; waitMs: number } {
  const next = Math.max(at ?? 0, nowMs) + minuteMs / perMinute
  const waitMs = next - nowMs - minuteMs
  return waitMs > roundingMs ? { at: at ?? 0, waitMs } : { at: next, waitMs: 0 }
}

/** Rate limits by name. */
export interface Rates {
  /** Counts one event of `name`. Returns 0 when it is allowed, else the milliseconds after which it would be. */
  count(name: string, perMinute: number, nowMs?: number): number
}

/**
 * Rate limits in memory for at most `maxNames` names. Beyond that the names that were counted longest ago are forgotten and start anew,
 * so clients that use ever new names cannot exhaust the memory.
 */
export function createRates(maxNames: number): Rates {
  // A Map keeps the order of insertion, so a name that is counted moves to the end.
  const timestamps = new Map<string, number>()
  return {
    count(name, perMinute, nowMs = Date.now()) {
      const { at, waitMs } = countOne(timestamps.get(name) ?? null, nowMs, perMinute)
      timestamps.delete(name)
      timestamps.set(name, at)
      if (timestamps.size > maxNames) timestamps.delete(timestamps.keys().next().value!)
      return waitMs
    },
  }
}

/** Milliseconds as whole seconds, at least one, for the header Retry-After. */
export function retryAfter(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000))
}
