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

/** Milliseconds as the whole seconds that Retry-After wants, at least one. */
export function retryAfter(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1000))
}
