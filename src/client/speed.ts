export interface Speed {
  /** Records that `total` bytes had been sent at `now` (milliseconds). A smaller total restarts the measurement. */
  record(total: number, now: number): void
  /** Bytes per second, or `null` while there is too little data. Falls while no bytes are sent. */
  at(now: number): number | null
  reset(): void
}

/** A shorter measurement would fluctuate too much. */
const minMs = 700

/**
 * A smoothed speed: recent bytes divided by recent time, both decaying with `halfLifeMs`. Because both decay alike, the first
 * seconds are as accurate as later ones.
 */
export function createSpeed(halfLifeMs = 3000): Speed {
  let bytes = 0
  let ms = 0
  let last: { total: number; at: number } | null = null

  function decayed(now: number): { bytes: number; ms: number } {
    const passed = last ? Math.max(0, now - last.at) : 0
    const factor = 0.5 ** (passed / halfLifeMs)
    return { bytes: bytes * factor, ms: ms * factor + passed }
  }

  const speed: Speed = {
    record(total, now) {
      if (last && total < last.total) speed.reset()
      if (last) {
        const before = decayed(now)
        bytes = before.bytes + total - last.total
        ms = before.ms
      }
      last = { total, at: now }
    },
    at(now) {
      const recent = decayed(now)
      return recent.ms < minMs ? null : (recent.bytes / recent.ms) * 1000
    },
    reset() {
      bytes = 0
      ms = 0
      last = null
    },
  }
  return speed
}

/** Milliseconds until `left` bytes are sent at `speed`, or `null` when the speed is unknown or about zero. */
export function timeLeft(left: number, speed: number | null): number | null {
  if (speed === null || speed < 1) return null
  return (left / speed) * 1000
}
