import type { BudgetUser, MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import type { Bytes, ObjectStore } from '../ports/object-store.ts'
import { PartBuffer } from './part-buffer.ts'

/** What the bytes of an incoming part wait in. */
export interface IncomingPartOptions {
  store: ObjectStore
  budget: MemoryBudget
  cache: TailCache
  nextTailKey(): string
  /** Bytes that must have arrived before any of them goes to the store. */
  minSpill: number
  /** Called before a byte is written to the store; rejects when it must not be. */
  beforeSpill(): Promise<void>
}

/**
 * The bytes of one numbered part until all have arrived. They wait in memory and are spilled to tail objects when the budget runs short,
 * so that any number of parts of any size can arrive at once and none waits for ever. No row names the tail objects.
 */
export class IncomingPart {
  readonly #budget: MemoryBudget
  readonly #buffer: PartBuffer
  readonly #spillAt: number
  readonly #written: string[] = []
  readonly #budgetUser: BudgetUser
  readonly #leave: () => void
  #failure: { error: unknown } | null = null
  #isOver = false

  constructor({ store, budget, cache, nextTailKey, minSpill, beforeSpill }: IncomingPartOptions) {
    this.#budget = budget
    // One part alone must not fill the budget.
    this.#spillAt = Math.max(4 * 1024 ** 2, Math.floor(budget.limit / 4))
    const write = async (bytes: Bytes) => {
      await beforeSpill()
      const tailObject = { key: nextTailKey(), size: bytes.size }
      // The store may write the object although its answer is lost.
      this.#written.push(tailObject.key)
      await store.put(tailObject.key, bytes, { contentType: 'application/octet-stream' })
      return tailObject
    }
    // Dropped tail objects are removed with all others.
    const tails = { write, drop: () => {} }
    const joinBelow = this.#spillAt
    this.#buffer = new PartBuffer({ store, budget, cache, tails, joinBelow, canDetach: false, canCache: false })
    this.#budgetUser = {
      waitingSince: performance.now(),
      missingBytes: () => this.#spillAt - this.#buffer.inMemory,
      spillable: () => (this.#canSpill(minSpill) ? this.#buffer.inMemory : 0),
      spill: () => this.#spill(),
    }
    this.#leave = budget.join(this.#budgetUser)
  }

  get size(): number {
    return this.#buffer.size
  }

  /** A promise asks the caller to wait before it brings more, and rejects when a tail object could not be written. */
  take(bytes: Buffer): Promise<void> | null {
    if (this.#failure) return Promise.reject(this.#failure.error as Error)
    if (this.#buffer.inMemory === 0) this.#budgetUser.waitingSince = performance.now()
    this.#buffer.add(bytes)
    const hasRoom = this.#buffer.inMemory < this.#spillAt && !this.#budget.isFull(this.#budgetUser)
    return hasRoom ? null : this.#waitForRoom()
  }

  /** All bytes, once the body has ended. */
  async whole(): Promise<Bytes> {
    await this.#end()
    if (this.#failure) throw this.#failure.error
    return this.#buffer.seal()
  }

  /** Gives the memory back. Returns the keys of all tail objects. */
  async release(): Promise<string[]> {
    await this.#end()
    this.#buffer.release()
    return this.#written
  }

  async #end(): Promise<void> {
    this.#isOver = true
    this.#leave()
    if (this.#buffer.isSpilling) await this.#spill()
  }

  /** Never rejects. */
  #spill(): Promise<void> {
    return this.#buffer.spill().catch((error: unknown) => {
      this.#failure ??= { error }
    })
  }

  #canSpill(minSpill: number): boolean {
    return !this.#isOver && !this.#buffer.isSpilling && !this.#failure && this.size >= minSpill
  }

  async #waitForRoom(): Promise<void> {
    if (this.#buffer.inMemory >= this.#spillAt) await this.#spill()
    if (!this.#failure) await this.#budget.waitForRoom(this.#budgetUser)
    if (this.#failure) throw this.#failure.error
  }
}
