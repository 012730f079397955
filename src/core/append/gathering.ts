import { joinBytes, newDraft } from '../parts/draft.ts'
import type { MemoryBudget } from '../parts/memory-budget.ts'
import type { PieceCache } from '../parts/piece-cache.ts'
import type { Bytes, ObjectStore } from '../ports.ts'

export interface GatheringOptions {
  store: ObjectStore
  budget: MemoryBudget
  cache: PieceCache
  nextPieceKey(): string
  /** So many bytes must be there before any of them goes to the store. */
  leastSpill?: number
  /** Called before anything is written to the store; refuses by throwing. */
  beforeSpill(): Promise<void>
}

/**
 * The bytes of one chunk until they are whole and one part can be made of them. They wait in memory, and go to the store as
 * pieces when the budget runs short, so that any number of chunks of any size can be on their way and none waits for ever.
 */
export interface Gathering {
  readonly size: number
  /** A promise asks the caller to wait before it brings more, and rejects when a piece could not be written. */
  take(bytes: Buffer): Promise<void> | null
  /** All of it, when no more comes. */
  whole(): Promise<Bytes>
  /** Gives the memory back. Returns the keys of pieces, which nothing points to. */
  release(): Promise<string[]>
}

/** An empty one. */
export function gather({
  store,
  budget,
  cache,
  nextPieceKey,
  leastSpill = 0,
  beforeSpill,
}: GatheringOptions): Gathering {
  const draft = newDraft(1)
  const written: string[] = []
  // One chunk alone must not fill the budget.
  const spillAt = Math.max(4 * 1024 ** 2, Math.floor(budget.limit / 4))
  let size = 0
  let spill: Promise<void> | null = null
  let failure: unknown = null
  let isOver = false

  const holder = {
    since: performance.now(),
    missing: () => spillAt - draft.held.size,
    spillable: () => (isOver || spill || failure || size < leastSpill ? 0 : draft.held.size),
    spill: () => spillHeld(),
  }
  const leave = budget.join(holder)

  /** Writes what is held as a piece; never rejects. */
  function spillHeld(): Promise<void> {
    spill ??= writePiece()
      .catch((error: unknown) => {
        failure ??= error
      })
      .finally(() => {
        spill = null
      })
    return spill
  }

  async function writePiece(): Promise<void> {
    const spilled = draft.held
    if (spilled.size === 0) return
    draft.spilling = spilled
    draft.held = { chunks: [], size: 0 }
    try {
      await beforeSpill()
      const piece = { key: nextPieceKey(), size: spilled.size }
      // The write may be done and only its answer lost.
      written.push(piece.key)
      await store.put(
        piece.key,
        { size: piece.size, chunks: () => spilled.chunks },
        { contentType: 'application/octet-stream' },
      )
      draft.pieces.push(piece)
    } finally {
      draft.spilling = { chunks: [], size: 0 }
      budget.giveBack(spilled.size)
    }
  }

  async function waitForRoom(): Promise<void> {
    if (draft.held.size >= spillAt) await spillHeld()
    if (!failure) await budget.room(holder)
    if (failure) throw failure
  }

  return {
    get size() {
      return size
    },
    take(bytes) {
      if (failure) return Promise.reject(failure as Error)
      budget.add(bytes.length)
      if (draft.held.size === 0) holder.since = performance.now()
      draft.held.chunks.push(bytes)
      draft.held.size += bytes.length
      size += bytes.length
      return draft.held.size < spillAt && !budget.isFull(holder) ? null : waitForRoom()
    },
    async whole() {
      isOver = true
      leave()
      await spill
      if (failure) throw failure
      return joinBytes(draft.pieces, [draft.held], cache, store)
    },
    async release() {
      isOver = true
      leave()
      await spill
      budget.giveBack(draft.held.size)
      draft.held = { chunks: [], size: 0 }
      return written
    },
  }
}
