import type { StoredPart, TailObject } from '../upload.ts'

/** A part in the making. */
export interface RecordablePart {
  /** Its receipt; `null` until the store has it. */
  stored: StoredPart | null
  tailObjects: readonly TailObject[]
}

/** What of the parts in the making a row may name. */
export interface Recordable {
  /** Stored parts without a gap from the first one. */
  parts: StoredPart[]
  /** The tail objects of the first part that is not stored. */
  tail: TailObject[]
  /** Bytes that both have together: how far the offset moves on. */
  size: number
  /** Keys of tail objects that stored parts have replaced. */
  replaced: string[]
}

/**
 * The longest run without a gap: parts may be stored in any order, and the row names a part only when all before it are stored. A part
 * that is stored behind a gap is recorded with the one that closes it.
 */
export function recordable(parts: readonly RecordablePart[]): Recordable {
  const firstUnstored = parts.findIndex((part) => part.stored === null)
  const count = firstUnstored === -1 ? parts.length : firstUnstored
  const run = parts.slice(0, count)
  const stored = run.map((part) => part.stored!)
  const tail = [...(parts[count]?.tailObjects ?? [])]
  return {
    parts: stored,
    tail,
    size: [...stored, ...tail].reduce((bytes, { size }) => bytes + size, 0),
    replaced: run.flatMap((part) => part.tailObjects.map(({ key }) => key)),
  }
}
