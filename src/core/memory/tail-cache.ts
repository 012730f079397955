import type { MemoryBudget } from './memory-budget.ts'

/**
 * The bytes of tail objects that this process wrote recently, so that the part that continues a tail need not read it back from the store.
 * A tail object never changes under its key, so an entry is never stale; a tail object without an entry is read from the store.
 */
export interface TailCache {
  get(key: string): Buffer[] | undefined
  set(key: string, chunks: Buffer[], size: number): void
  drop(keys: string[]): void
}

/** A cache that takes at most `share` of the budget, and is emptied when the budget is under pressure. */
export function createTailCache(budget: MemoryBudget, share = 0.25): TailCache {
  const tailObjects = new Map<string, { chunks: Buffer[]; size: number }>()
  let cachedBytes = 0

  function drop(key: string) {
    const tailObject = tailObjects.get(key)
    if (!tailObject) return
    tailObjects.delete(key)
    cachedBytes -= tailObject.size
    budget.release(tailObject.size)
  }

  budget.onPressure(() => {
    for (const key of tailObjects.keys()) drop(key)
  })

  return {
    get: (key) => tailObjects.get(key)?.chunks,
    set(key, chunks, size) {
      if (size > budget.limit * share) return
      tailObjects.set(key, { chunks, size })
      cachedBytes += size
      budget.add(size)
      // A Map keeps the order of insertion, so the oldest entry is the first.
      for (const oldest of tailObjects.keys()) {
        if (cachedBytes <= budget.limit * share) break
        drop(oldest)
      }
    },
    drop(keys) {
      for (const key of keys) drop(key)
    },
  }
}
