import type { MemoryBudget } from './memory-budget.ts'

/**
 * The bytes of pieces this process wrote lately, so that the part they grow into need not read them back. A piece never
 * changes under its key, so what is here is always right; what is not here is read from the store.
 */
export interface PieceCache {
  get(key: string): Buffer[] | undefined
  set(key: string, chunks: Buffer[], size: number): void
  drop(keys: string[]): void
}

/** A cache that takes at most `share` of the budget, and gives it all back when the budget runs short. */
export function createPieceCache(budget: MemoryBudget, share = 0.25): PieceCache {
  const pieces = new Map<string, { chunks: Buffer[]; size: number }>()
  let held = 0

  function drop(key: string) {
    const piece = pieces.get(key)
    if (!piece) return
    pieces.delete(key)
    held -= piece.size
    budget.giveBack(piece.size)
  }

  budget.onShort(() => {
    for (const key of pieces.keys()) drop(key)
  })

  return {
    get: (key) => pieces.get(key)?.chunks,
    set(key, chunks, size) {
      if (size > budget.limit * share) return
      pieces.set(key, { chunks, size })
      held += size
      budget.add(size)
      // A Map keeps the order of insertion: the first is the oldest.
      for (const oldest of pieces.keys()) {
        if (held <= budget.limit * share) break
        drop(oldest)
      }
    },
    drop(keys) {
      for (const key of keys) drop(key)
    },
  }
}
