import type { MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import type { Bytes, ObjectStore } from '../ports.ts'
import { concatBytes, newBufferedPart } from './buffered-part.ts'

export interface PartBufferOptions {
  store: ObjectStore
  budget: MemoryBudget
  cache: TailCache
  nextTailKey(): string
  /** So many bytes must be there before any of them goes to the store. */
  minSpill?: number
  /** Called before anything is written to the store; refuses by throwing. */
  beforeSpill(): Promise<void>
}

/**
 * The bytes of one chunk until they are whole and one part can be made of them. They wait in memory, and go to the store as
 * pieces when the budget runs short, so that any number of chunks of any size can be on their way and none waits for ever.
 */
export interface PartBuffer {
  readonly size: number
  /** A promise asks the caller to wait before it brings more, and rejects when a piece could not be written. */
  take(bytes: Buffer): Promise<void> | null
  /** All of it, when no more comes. */
  whole(): Promise<Bytes>
  /** Gives the memory back. Returns the keys of pieces, which nothing points to. */
  release(): Promise<string[]>
}

/** An empty one. */
export function createPartBuffer({
  store,
  budget,
  cache,
  nextTailKey,
  minSpill = 0,
  beforeSpill,
}: PartBufferOptions): PartBuffer {
  const part = newBufferedPart(1)
  const written: string[] = []
  // One chunk alone must not fill the budget.
  const spillAt = Math.max(4 * 1024 ** 2, Math.floor(budget.limit / 4))
  let size = 0
  let spill: Promise<void> | null = null
  let failure: unknown = null
  let isOver = false

  const budgetUser = {
    waitingSince: performance.now(),
    missingBytes: () => spillAt - part.inMemory.size,
    spillable: () => (isOver || spill || failure || size < minSpill ? 0 : part.inMemory.size),
    spill: () => spillBuffered(),
  }
  const leave = budget.join(budgetUser)

  /** Writes what is held as a piece; never rejects. */
  function spillBuffered(): Promise<void> {
    spill ??= writeTailObject()
      .catch((error: unknown) => {
        failure ??= error
      })
      .finally(() => {
        spill = null
      })
    return spill
  }

  async function writeTailObject(): Promise<void> {
    const spilled = part.inMemory
    if (spilled.size === 0) return
    part.spilling = spilled
    part.inMemory = { chunks: [], size: 0 }
    try {
      await beforeSpill()
      const tailObject = { key: nextTailKey(), size: spilled.size }
      // The write may be done and only its answer lost.
      written.push(tailObject.key)
      await store.put(
        tailObject.key,
        { size: tailObject.size, chunks: () => spilled.chunks },
        { contentType: 'application/octet-stream' },
      )
      part.tailObjects.push(tailObject)
    } finally {
      part.spilling = { chunks: [], size: 0 }
      budget.release(spilled.size)
    }
  }

  async function waitForRoom(): Promise<void> {
    if (part.inMemory.size >= spillAt) await spillBuffered()
    if (!failure) await budget.waitForRoom(budgetUser)
    if (failure) throw failure
  }

  return {
    get size() {
      return size
    },
    take(bytes) {
      if (failure) return Promise.reject(failure as Error)
      budget.add(bytes.length)
      if (part.inMemory.size === 0) budgetUser.waitingSince = performance.now()
      part.inMemory.chunks.push(bytes)
      part.inMemory.size += bytes.length
      size += bytes.length
      return part.inMemory.size < spillAt && !budget.isFull(budgetUser) ? null : waitForRoom()
    },
    async whole() {
      isOver = true
      leave()
      await spill
      if (failure) throw failure
      return concatBytes(part.tailObjects, [part.inMemory], cache, store)
    },
    async release() {
      isOver = true
      leave()
      await spill
      budget.release(part.inMemory.size)
      part.inMemory = { chunks: [], size: 0 }
      return written
    },
  }
}
