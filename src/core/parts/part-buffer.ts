import type { MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import type { Bytes, ObjectStore } from '../ports/object-store.ts'
import { concatBytes, newBufferedPart } from './buffered-part.ts'

/** What a buffer works with. */
export interface PartBufferOptions {
  store: ObjectStore
  budget: MemoryBudget
  cache: TailCache
  nextTailKey(): string
  /** Bytes that must have arrived before any of them goes to the store. */
  minSpill?: number
  /** Called before a byte is written to the store; rejects when it must not be. */
  beforeSpill(): Promise<void>
}

/**
 * The bytes of one numbered part until all have arrived. They wait in memory and are spilled to tail objects when the budget runs short,
 * so that any number of parts of any size can arrive at once and none waits for ever.
 */
export interface PartBuffer {
  readonly size: number
  /** A promise asks the caller to wait before it brings more, and rejects when a tail object could not be written. */
  take(bytes: Buffer): Promise<void> | null
  /** All bytes, once the body has ended. */
  whole(): Promise<Bytes>
  /** Gives the memory back. Returns the keys of tail objects, which no row names. */
  release(): Promise<string[]>
}

/** An empty buffer. */
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
  // One part alone must not fill the budget.
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

  /** Writes the bytes in memory to a tail object; never rejects. */
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
      // The store may write the object although its answer is lost.
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
