/*
 * So many a minute, kept as one moment: the generic cell rate algorithm. Each one moves the moment on by its share of a
 * minute; as long as the moment lies less than a minute ahead there is room. After a quiet minute a whole minute's worth may
 * come at once, and then one for every share that passes.
 */

const minuteMs = 60_000
// Shares are not whole numbers; their sum must not miss the minute by a hair.
const hairMs = 1

/**
 * One more at `nowMs`. `at` is the moment to keep for the next one; `waitMs` is above 0 when there is no room, and
 * `at` is then as it was.
 */
export function countOne(at: number | null, nowMs: number, perMinute: number): { at: number; waitMs: number } {
  const next = Math.max(at ?? 0, nowMs) + minuteMs / perMinute
  const waitMs = next - nowMs - minuteMs
  return waitMs > hairMs ? { at: at ?? 0, waitMs } : { at: next, waitMs: 0 }
}

/** Counts by name, `perMinute` of each. */
export interface Rates {
  /** Counts one more. Milliseconds until there is room, 0 when there was. */
  count(name: string, perMinute: number, nowMs?: number): number
}

/**
 * Counters in memory for `most` names. When there are more, those that were not counted longest are forgotten: strangers who
 * come under ever new names cost nothing but the memory of others, who then begin anew.
 */
export function createRates(most: number): Rates {
  // A Map keeps the order in which names were put in; who is counted goes to the end.
  const moments = new Map<string, number>()
  return {
    count(name, perMinute, nowMs = Date.now()) {
      const { at, waitMs } = countOne(moments.get(name) ?? null, nowMs, perMinute)
      moments.delete(name)
      moments.set(name, at)
      if (moments.size > most) moments.delete(moments.keys().next().value!)
      return waitMs
    },
  }
}

/** Milliseconds as the whole seconds that Retry-After wants, at least one. */
export function retryAfter(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000))
}
