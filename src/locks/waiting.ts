import type { HeldLock } from './held-lock.ts'

/** The requests of this process that wait for locks, by upload. */
export class Waiting {
  readonly #locks = new Map<string, Set<HeldLock>>()
  readonly #wakers = new Map<string, Set<() => void>>()

  /** Runs `acquire`, and meanwhile lists `lock` among those that are waited for. */
  async during<T>(lock: HeldLock, acquire: () => Promise<T>): Promise<T> {
    const remove = add(this.#locks, lock.id, lock)
    try {
      return await acquire()
    } finally {
      remove()
    }
  }

  /** The locks that requests wait for. */
  locks(id: string): HeldLock[] {
    return [...(this.#locks.get(id) ?? [])]
  }

  /** Wakes those who wait for `released`. */
  wake(id: string): void {
    for (const wake of this.#wakers.get(id) ?? []) wake()
  }

  /** A promise that resolves when `wake` is called. */
  released(id: string): { promise: Promise<void>; unsubscribe(): void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    return { promise, unsubscribe: add(this.#wakers, id, resolve) }
  }
}

/** Adds `value` to the set of `id`; returns the function that removes it. */
function add<T>(sets: Map<string, Set<T>>, id: string, value: T): () => void {
  const set = sets.get(id) ?? new Set()
  sets.set(id, set.add(value))
  return () => {
    set.delete(value)
    if (set.size === 0 && sets.get(id) === set) sets.delete(id)
  }
}
