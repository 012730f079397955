import type { MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import type { Bytes, ObjectStore } from '../ports/object-store.ts'
import type { TailObject } from '../upload.ts'

/** What the buffers of one body share. */
export interface BufferResources {
  store: ObjectStore
  budget: MemoryBudget
  cache: TailCache
  tails: TailWriter
  /** Tail objects of this size or more are not joined with others. */
  joinBelow: number
  /** Chunks are not used elsewhere: their memory is given back as soon as the store has them. */
  canDetach: boolean
  /** Whether the bytes of new tail objects are cached, because the next body may go on with them. */
  canCache: boolean
}

/** Writes tail objects, and is told which of them are not needed. */
export interface TailWriter {
  write(bytes: Bytes): Promise<TailObject>
  drop(keys: string[]): void
}

// A part is read back from its tail objects; more small ones than this are joined into one.
const maxSmallTailObjects = 16

/**
 * The bytes of one part in the making: first its tail objects in the store, then the bytes that are being written there as the next tail
 * object, then the bytes in memory. Bytes in memory are counted in the budget.
 */
export class PartBuffer {
  readonly #resources: BufferResources
  #tailObjects: TailObject[]
  #spilling: BufferedBytes = { chunks: [], size: 0 }
  #inMemory: BufferedBytes = { chunks: [], size: 0 }
  #size: number
  #isSealed = false
  #spill: Promise<void> | null = null

  /** A part that begins with the bytes of `tailObjects`. */
  constructor(resources: BufferResources, tailObjects: TailObject[] = []) {
    this.#resources = resources
    this.#tailObjects = [...tailObjects]
    this.#size = sizeOf(tailObjects)
  }

  /** All bytes of the part. */
  get size(): number {
    return this.#size
  }

  /** Bytes in memory that are not being spilled. */
  get inMemory(): number {
    return this.#inMemory.size
  }

  get tailObjects(): readonly TailObject[] {
    return this.#tailObjects
  }

  get isSpilling(): boolean {
    return this.#spill !== null
  }

  add(bytes: Buffer): void {
    this.#resources.budget.add(bytes.length)
    this.#inMemory.chunks.push(bytes)
    this.#inMemory.size += bytes.length
    this.#size += bytes.length
  }

  /**
   * Writes the bytes in memory to the store as a tail object. While one is being written, it waits for that one instead. A failure ends the
   * body, so the memory is given back: other bodies may be waiting for it, and this one too.
   */
  spill(): Promise<void> {
    this.#spill ??= this.#writeTailObject().finally(() => {
      this.#spill = null
    })
    return this.#spill
  }

  /**
   * All bytes, to be sent. A tail object that is still being written is not needed any more: its bytes, which are read twice, are sent
   * from memory.
   */
  seal(): Bytes {
    this.#isSealed = true
    return this.#concat(this.#tailObjects, [this.#spilling, this.#inMemory])
  }

  /** The store has the part. Bytes that are being spilled are still read, and cached ones will be read by another body. */
  detach(): void {
    if (this.#resources.canDetach) detachBuffers(this.#inMemory.chunks)
  }

  /** Gives the memory back. The part gets no more bytes. */
  release(): void {
    this.#resources.budget.release(this.#inMemory.size)
    this.#inMemory = { chunks: [], size: 0 }
  }

  async #writeTailObject(): Promise<void> {
    if (this.#isSealed || this.#inMemory.size === 0) return
    const { tails, budget, joinBelow } = this.#resources
    const spilled = this.#inMemory
    this.#spilling = spilled
    this.#inMemory = { chunks: [], size: 0 }
    const small = smallTailObjectsAtEnd(this.#tailObjects, joinBelow)
    const joined = small.length >= maxSmallTailObjects ? small : []
    let tailObject: TailObject
    try {
      tailObject = await tails.write(this.#concat(joined, [spilled]))
    } catch (error) {
      if (!this.#isSealed) this.release()
      throw error
    } finally {
      this.#spilling = { chunks: [], size: 0 }
      budget.release(spilled.size)
    }
    if (this.#isSealed) return tails.drop([tailObject.key])
    this.#tailObjects.splice(this.#tailObjects.length - joined.length, joined.length, tailObject)
    tails.drop(joined.map(({ key }) => key))
    this.#keepOrDetach(tailObject, spilled, joined.length === 0)
  }

  #keepOrDetach({ key }: TailObject, { chunks, size }: BufferedBytes, isWhole: boolean): void {
    const { budget, cache, canCache, canDetach } = this.#resources
    if (canCache && isWhole && !budget.underPressure) cache.set(key, chunks, size)
    else if (canDetach) detachBuffers(chunks)
  }

  /** Tail objects come from the cache, or else from the store when they are read. */
  #concat(tailObjects: TailObject[], inMemory: BufferedBytes[]): Bytes {
    const { cache, store } = this.#resources
    const size = sizeOf(tailObjects) + inMemory.reduce((bytes, one) => bytes + one.size, 0)
    const cached = tailObjects.map(({ key }) => ({ key, chunks: cache.get(key) }))
    const last = inMemory.flatMap(({ chunks }) => chunks)
    if (cached.every(({ chunks }) => chunks !== undefined)) {
      const all = [...cached.flatMap(({ chunks }) => chunks!), ...last]
      return { size, chunks: () => all }
    }
    return {
      size,
      async *chunks() {
        for (const { key, chunks } of cached) yield* chunks ?? store.read(key)
        yield* last
      },
    }
  }
}

/** Chunks in the order in which they arrived. */
interface BufferedBytes {
  chunks: Buffer[]
  size: number
}

/** Bytes of the tail objects together. */
function sizeOf(tailObjects: readonly TailObject[]): number {
  return tailObjects.reduce((size, tailObject) => size + tailObject.size, 0)
}

/**
 * Gives the memory of chunks back at once, when they will not be read again. The garbage collector would do so later, and mark the whole
 * heap each time some tens of megabytes have accumulated: that was half of the CPU time of an upload. A chunk that shares its memory
 * with others, because it was cut between two parts, is left to the garbage collector.
 */
function detachBuffers(chunks: Buffer[]): void {
  for (const { buffer, length } of chunks)
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}

/** The longest run of tail objects at the end that together have at most `limit` bytes. */
function smallTailObjectsAtEnd(tailObjects: TailObject[], limit: number): TailObject[] {
  let size = 0
  let from = tailObjects.length
  while (from > 0 && size + tailObjects[from - 1]!.size <= limit) {
    from -= 1
    size += tailObjects[from]!.size
  }
  return tailObjects.slice(from)
}
