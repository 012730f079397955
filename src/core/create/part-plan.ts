import type { StoreLimits } from '../ports/object-store.ts'

const MiB = 1024 ** 2

export interface PartPlan {
  /** The file's length, or the most it may become. */
  size: number
  /** What the operator set. */
  preferred: number
  limits: StoreLimits
  /** How many bytes the client's first request brings, when more will follow. */
  firstChunkSize?: number | undefined
}

/**
 * The one size that all parts but the last will have: the preferred one, larger when the file would otherwise need too
 * many parts, and a divisor of the client's chunk where there is one near, so that a chunk leaves no tail.
 */
export function choosePartSize({ size, preferred, limits, firstChunkSize }: PartPlan): number {
  const least = Math.max(limits.minPartSize, Math.ceil(size / limits.maxParts))
  const most = limits.maxPartSize
  const aligned =
    firstChunkSize !== undefined && firstChunkSize < size ? divisorNear(firstChunkSize, preferred, least) : null
  if (aligned !== null && aligned <= most) return aligned
  if (least <= preferred) return Math.min(Math.max(preferred, limits.minPartSize), most)
  return Math.min(Math.ceil(least / MiB) * MiB, most)
}

/** The largest part of at most twice `preferred` that divides `chunk` and is at least `least`; `null` if there is none. */
function divisorNear(chunk: number, preferred: number, least: number): number | null {
  for (let count = Math.max(1, Math.ceil(chunk / (2 * preferred))); chunk / count >= least; count += 1) {
    if (chunk % count === 0) return chunk / count
    if (count > 10_000) return null
  }
  return null
}
