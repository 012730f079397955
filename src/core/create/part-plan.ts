import type { StoreLimits } from '../ports/object-store.ts'

const MiB = 1024 ** 2

export interface PartPlan {
  /** The length of the file, or the largest allowed when it is unknown. */
  size: number
  /** The part size from the policy or the settings. */
  preferred: number
  limits: StoreLimits
  /** Bytes of the client's first request, when more requests will follow. */
  firstChunkSize?: number | undefined
}

/**
 * The size that all parts but the last will have: the preferred size, or a larger one when the file would otherwise need too many parts, or
 * a divisor of the client's chunk size near it, so that a chunk ends with a full part and leaves no tail.
 */
export function choosePartSize({ size, preferred, limits, firstChunkSize }: PartPlan): number {
  const min = Math.max(limits.minPartSize, Math.ceil(size / limits.maxParts))
  const max = limits.maxPartSize
  const aligned =
    firstChunkSize !== undefined && firstChunkSize < size ? divisorNear(firstChunkSize, preferred, min) : null
  if (aligned !== null && aligned <= max) return aligned
  if (min <= preferred) return Math.min(Math.max(preferred, limits.minPartSize), max)
  return Math.min(Math.ceil(min / MiB) * MiB, max)
}

/** The largest part of at most twice `preferred` that divides `chunk` and has at least `min` bytes; `null` if there is none. */
function divisorNear(chunk: number, preferred: number, min: number): number | null {
  for (let count = Math.max(1, Math.ceil(chunk / (2 * preferred))); chunk / count >= min; count += 1) {
    if (chunk % count === 0) return chunk / count
    if (count > 10_000) return null
  }
  return null
}
