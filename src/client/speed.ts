export interface Speed {
  /** Tells that `total` bytes had been sent at `now` (milliseconds). Going back starts the measurement anew. */
  saw(total: number, now: number): void
  /** Bytes a second, or `null` while too little was seen to say. Falls when nothing comes. */
  at(now: number): number | null
  reset(): void
}

/** Below this a figure would jump about more than it tells. */
const leastMs = 700

/**
 * A smoothed speed: recent bytes over recent time, both fading with `halfLifeMs`. Fading both alike makes the first
 * seconds as right as the later ones.
 */
export function createSpeed(halfLifeMs = 3000): Speed {
  let bytes = 0
  let ms = 0
  let last: { total: number; at: number } | null = null

  function faded(now: number): { bytes: number; ms: number } {
    const passed = last ? Math.max(0, now - last.at) : 0
    const rest = 0.5 ** (passed / halfLifeMs)
    return { bytes: bytes * rest, ms: ms * rest + passed }
  }

  const speed: Speed = {
    saw(total, now) {
      if (last && total < last.total) speed.reset()
      if (last) {
        const before = faded(now)
        bytes = before.bytes + total - last.total
        ms = before.ms
      }
      last = { total, at: now }
    },
    at(now) {
      const recent = faded(now)
      return recent.ms < leastMs ? null : (recent.bytes / recent.ms) * 1000
    },
    reset() {
      bytes = 0
      ms = 0
      last = null
    },
  }
  return speed
}

/** Milliseconds until `left` bytes are through at `speed`, or `null` when nobody can tell. */
export function timeLeft(left: number, speed: number | null): number | null {
  if (speed === null || speed < 1) return null
  return (left / speed) * 1000
}
