import type { MemoryBudget } from './memory-budget.ts'

/**
 * The bytes of pieces this process wrote lately, so that the part they grow into need not read them back. A piece never
 * changes under its key, so what is here is always right; what is not here is read from the store.
 */
export interface TailCache {
  get(key: string): Buffer[] | undefined
  set(key: string, chunks: Buffer[], size: number): void
  drop(keys: string[]): void
}

/** A cache that takes at most `share` of the budget, and gives it all back when the budget runs short. */
export function createTailCache(budget: MemoryBudget, share = 0.25): TailCache {
  const tailObjects = new Map<string, { chunks: Buffer[]; size: number }>()
  let inMemory = 0

  function drop(key: string) {
    const tailObject = tailObjects.get(key)
    if (!tailObject) return
    tailObjects.delete(key)
    inMemory -= tailObject.size
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
      inMemory += size
      budget.add(size)
      // A Map keeps the order of insertion: the first is the oldest.
      for (const oldest of tailObjects.keys()) {
        if (inMemory <= budget.limit * share) break
        drop(oldest)
      }
    },
    drop(keys) {
      for (const key of keys) drop(key)
    },
  }
}
