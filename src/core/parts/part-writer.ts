/*
 * The part writer turns a stream of bytes into parts of one size and a tail.
 *
 * Bytes are collected by reference into the current draft. A draft that is full is sent to the store as one part while
 * the next one fills; several may be on their way, and they may arrive in any order. What is recorded in the session is
 * always a run without holes from the start: parts, then the pieces of the first draft that is no part yet. A piece is a
 * private object with bytes that do not fill a part. It is written when a body ends in the middle of a part, or earlier
 * when memory runs short, and dropped only after the session points to what took its place.
 *
 * Under a digest nothing is recorded before it agrees, and a part that is recorded already (it came by number) is not
 * written over: what would take its place waits as pieces.
 *
 * A file that fits into one part never becomes a multipart upload: its draft stays unsent until the end is known, and is
 * then written as one object.
 */

import { aboutOf } from '../pairing/origin.ts'
import type { Change, Lease, ObjectFacts, ObjectStore } from '../ports.ts'
import { type Handle, type Piece, tailSize } from '../upload.ts'
import { type Draft, draftSize, joinBytes, newDraft, nothing, piecesSize, smallPiecesAtEnd, spend } from './draft.ts'
import type { MemoryBudget } from './memory-budget.ts'
import type { PieceCache } from './piece-cache.ts'
import { putWhole } from './put-whole.ts'

export interface PartWriting {
  store: ObjectStore
  lease: Lease
  budget: MemoryBudget
  cache: PieceCache
  /** Parts of this upload that may be on their way to the store at once. */
  partsInFlight: number
  partSize: number
  /** The whole file's length where it is known. */
  size: number | null
  /** A new private key for a piece of this upload. */
  nextPieceKey(): string
  /** What every record also changes: the moment of expiry. */
  touch(): Change
  /** Numbers of parts that are recorded already, from where this writer goes on: their receipts end when they are written anew. */
  overwrites: Set<number>
  /** Nobody else holds the chunks: their memory is given back as soon as the store has the part. */
  ownsChunks: boolean
  /** Nothing is recorded before `flush` or `close`: a digest must agree first. */
  isHeldBack: boolean
  /** Told after every record; `litter` are the keys that nothing points to any more. */
  onRecorded(offset: number, litter: string[]): void
}

export interface PartWriter {
  /** Where the next byte belongs. */
  readonly position: number
  /** Takes a chunk; a promise asks the caller to wait before it brings the next, and rejects when the store failed. */
  take(chunk: Buffer): Promise<void> | null
  /**
   * Stores and records what was taken, the rest of an unfilled draft as a piece. What can be kept is, also when it throws.
   * Nothing may be saved after it: the lease is given back in the same statement.
   */
  flush(): Promise<void>
  /**
   * As `flush` for the last bytes of the file. The facts of the object when all of it went out at once (the caller
   * records that); `null` when every part is recorded and the store must join them.
   */
  close(): Promise<ObjectFacts | null>
  /** The keys of all pieces that the object takes the place of, when it went out at once. */
  replaced(): string[]
  /** Whether the store may have a multipart upload under the session's key. */
  hasBegun(): boolean
  /** Forgets what was taken and not recorded; returns the keys of what it had written. */
  drop(): Promise<string[]>
}

// More small pieces than this make a part an errand; they are joined into one.
const maxSmallPieces = 16
// A record is one statement. Only what is acknowledged must be recorded, so in the middle of a body now and then is enough.
const recordEveryMs = 250

/**
 * A writer that goes on where the lease's session stands. Bytes that the session itself keeps are in no store yet: they are to
 * be brought again, first.
 */
export function createPartWriter(options: PartWriting): PartWriter {
  const { store, lease, budget, cache, partsInFlight, partSize, size } = options
  const { session } = lease
  const spillAt = Math.max(4 * 1024 ** 2, Math.floor(budget.limit / 16))
  const isHeldWhole = partSize <= Math.max(spillAt, budget.limit / 8)

  let position = session.offset - (session.head?.length ?? 0)
  let current = newDraft(Math.floor((session.offset - tailSize(session)) / partSize) + 1, session.tail)
  let currentSize = draftSize(current)
  const drafts = [current]
  let inFlight = 0
  let handle: Handle | null = session.handle
  let beginning: Promise<Handle> | null = null
  let hasTwin = false
  let spill: Promise<void> | null = null
  let failure: unknown = null
  let wakers: (() => void)[] = []
  /** Keys that nothing will point to after the next record. */
  let litter: string[] = []

  const holder = {
    since: performance.now(),
    missing: () => Math.min(partSize - currentSize, (size ?? Number.POSITIVE_INFINITY) - position),
    spillable: () => (current.sending || spill || failure ? 0 : current.held.size),
    spill: () => spillHeld().catch(fail),
  }
  const leave = budget.join(holder)

  function take(chunk: Buffer): Promise<void> | null {
    if (failure) return Promise.reject(failure as Error)
    budget.add(chunk.length)
    if (current.held.size === 0) holder.since = performance.now()
    position += chunk.length
    for (let from = 0; from < chunk.length; ) {
      if (currentSize === partSize) sendCurrent()
      const bytes = chunk.subarray(from, from + partSize - currentSize)
      current.held.chunks.push(bytes)
      current.held.size += bytes.length
      currentSize += bytes.length
      from += bytes.length
    }
    // Full, and more must come: no need to wait for it.
    if (currentSize === partSize && size !== null && position < size) sendCurrent()
    const isWelcome = inFlight < partsInFlight && (isHeldWhole || current.held.size < spillAt) && !budget.isFull(holder)
    return isWelcome ? null : waitForRoom()
  }

  async function waitForRoom(): Promise<void> {
    await waitForTurn()
    // A part that would hold too much of the budget goes to the store piece by piece and is joined from there.
    if (!failure && !isHeldWhole && current.held.size >= spillAt) await spillHeld()
    if (!failure) await budget.room(holder)
    if (failure) throw failure
  }

  async function waitForTurn(): Promise<void> {
    while (inFlight >= partsInFlight && !failure) await new Promise<void>((resolve) => wakers.push(resolve))
  }

  function fail(error: unknown) {
    failure ??= error
    wake()
  }

  function wake() {
    const waiting = wakers
    wakers = []
    for (const resolve of waiting) resolve()
  }

  function sendCurrent() {
    if (options.isHeldBack && options.overwrites.has(current.number)) park(current)
    else send(current)
    current = newDraft(current.number + 1)
    currentSize = 0
    drafts.push(current)
  }

  /** Keeps a full draft as pieces: the part that is recorded under its number must stay what it is until a digest has agreed. */
  function park(draft: Draft) {
    inFlight += 1
    draft.parking = (spill ?? Promise.resolve())
      .then(() => spillDraft(draft))
      .catch(fail)
      .finally(() => {
        inFlight -= 1
        wake()
      })
  }

  /** The digest has agreed: what waited for it takes the place of what is recorded. */
  async function sendParked(): Promise<void> {
    for (const draft of drafts) {
      if (!draft.parking) continue
      await waitForTurn()
      if (failure) break
      send(draft)
    }
    await Promise.all(drafts.map(async (draft) => draft.sending))
  }

  function send(draft: Draft) {
    // What is being spilled is read by that too, and what the cache keeps by whoever else goes on with this upload.
    const mine = draft.held.chunks
    const held = draft.held.size
    const bytes = joinBytes(draft.pieces, [draft.spilling, draft.held], cache, store)
    inFlight += 1
    draft.sending = sendPart()
      .catch(fail)
      .finally(() => {
        budget.giveBack(held)
        draft.held = nothing()
        inFlight -= 1
        wake()
      })

    async function sendPart() {
      await lease.confirm()
      handle ??= await openHandle()
      if (options.overwrites.delete(draft.number)) await forget(draft.number)
      draft.receipt = await store.writePart(session.key, handle, draft.number, bytes)
      if (options.ownsChunks) spend(mine)
      recordSoon()
    }
  }

  /** In turn with the records: the lease takes one statement at a time. */
  async function forget(number: number): Promise<void> {
    recording = recording.then(() => lease.save({ forget: [number] })).catch(fail)
    await recording
    if (failure) throw failure
  }

  function openHandle(): Promise<Handle> {
    // If its answer is lost there is a multipart upload whose name nobody knows.
    lease.suspect()
    const onDoubt = () => {
      hasTwin = true
    }
    beginning ??= store.begin(session.key, { ...aboutOf(session), partSize, onDoubt })
    return beginning
  }

  /** Writes what the current draft holds in memory to the store as a piece. One at a time. */
  function spillHeld(): Promise<void> {
    spill ??= spillDraft(current).finally(() => {
      spill = null
    })
    return spill
  }

  async function spillDraft(draft: Draft): Promise<void> {
    if (draft.sending || draft.held.size === 0) return
    const spilled = draft.held
    draft.spilling = spilled
    draft.held = nothing()
    const small = smallPiecesAtEnd(draft.pieces, spillAt)
    const joined = small.length >= maxSmallPieces ? small : []
    const bytes = joinBytes(joined, [spilled], cache, store)
    const piece: Piece = { key: options.nextPieceKey(), size: bytes.size }
    try {
      await lease.confirm()
      lease.suspect()
      await store.put(piece.key, bytes, { contentType: 'application/octet-stream' })
    } catch (error) {
      // The write may have been done and only its answer lost.
      litter.push(piece.key)
      draft.spilling = nothing()
      if (draft.sending) budget.giveBack(spilled.size)
      else draft.held = { chunks: [...spilled.chunks, ...draft.held.chunks], size: spilled.size + draft.held.size }
      throw error
    }
    draft.spilling = nothing()
    budget.giveBack(spilled.size)
    if (draft.sending) {
      // It filled up meanwhile and went out with these bytes.
      litter.push(piece.key)
      return
    }
    draft.pieces.splice(draft.pieces.length - joined.length, joined.length, piece)
    litter.push(...joined.map((one) => one.key))
    if (joined.length === 0 && !budget.isShort) cache.set(piece.key, spilled.chunks, spilled.size)
    else if (options.ownsChunks) spend(spilled.chunks)
    recordSoon()
  }

  let recordTimer: NodeJS.Timeout | null = null
  let lastRecordAt = 0
  let recording: Promise<void> = Promise.resolve()

  function recordSoon() {
    if (options.isHeldBack || recordTimer || failure) return
    recordTimer = setTimeout(
      () => {
        recordTimer = null
        recording = recording.then(() => record()).catch(fail)
      },
      Math.max(0, lastRecordAt + recordEveryMs - performance.now()),
    )
  }

  /** From here on the caller decides when a record is written. */
  function stopRecording() {
    if (recordTimer) clearTimeout(recordTimer)
    recordTimer = null
  }

  /** Records the run of parts and pieces from the start, and tells what became litter by it. */
  async function record({ isLast = false, isAtEnd = false } = {}): Promise<void> {
    const firstOpen = drafts.findIndex((draft) => !draft.receipt)
    const stored = firstOpen === -1 ? [...drafts] : drafts.slice(0, firstOpen)
    const tail = firstOpen === -1 ? [] : [...drafts[firstOpen]!.pieces]
    const parts = stored.map((draft) => draft.receipt!)
    const before = session.offset - tailSize(session)
    const offset = before + parts.reduce((bytes, part) => bytes + part.size, 0) + piecesSize(tail)
    const dropped = litter
    // A body that may still bring more than the file has must not make it whole: only its end says that the last bytes count.
    if (offset === size && !isAtEnd) return
    // What the session keeps stays until the store has all of it.
    if (session.head !== null && offset < session.head.length) return
    if (parts.length === 0 && offset === session.offset && dropped.length === 0 && handle === session.handle) return
    litter = []
    lastRecordAt = performance.now()
    // What lies in the store from now on without a name, until it is removed.
    const leavesLitter = dropped.length > 0 || stored.some((draft) => draft.pieces.length > 0)
    // Whether there is anything in the store that the session does not name, once this is saved.
    const namesAll = () => !spill && !hasTwin && (handle !== null || !beginning)
    if (isLast && namesAll()) lease.trust()
    try {
      await lease.save({
        ...options.touch(),
        parts,
        tail,
        offset,
        partSize,
        handle,
        head: null,
        // The store has taken a part: what it seemed to have lost is there.
        ...(parts.length > 0 && session.lossSeenAt && { lossSeenAt: null }),
        ...(leavesLitter ? { isDirty: true } : {}),
        ...(isLast ? { release: true } : {}),
      })
    } catch (error) {
      if (isLast) lease.suspect()
      litter.push(...dropped)
      throw error
    }
    if (namesAll()) lease.trust()
    drafts.splice(0, stored.length)
    for (const draft of stored) dropped.push(...draft.pieces.map((piece) => piece.key))
    cache.drop(dropped)
    options.onRecorded(offset, dropped)
  }

  /** Waits for everything on its way. */
  async function settle(): Promise<void> {
    leave()
    await spill?.catch(fail)
    await Promise.all(drafts.map(async (draft) => draft.sending ?? draft.parking))
    stopRecording()
    await recording
  }

  function giveBackHeld() {
    for (const draft of drafts) {
      if (draft.sending) continue
      budget.giveBack(draft.held.size)
      draft.held = nothing()
    }
  }

  return {
    get position() {
      return position
    },
    take,
    async flush() {
      await settle()
      try {
        await sendParked()
        if (!failure) await spillHeld()
      } catch (error) {
        fail(error)
      }
      giveBackHeld()
      stopRecording()
      // After a failure the lease is still needed: the upload may be lost.
      await record({ isLast: failure === null, isAtEnd: true })
      if (failure) throw failure
    },
    async close() {
      await settle()
      try {
        const isWholeFile = current.number === 1 && handle === null
        if (!failure && isWholeFile) {
          const facts = await putWhole(lease, joinBytes(current.pieces, [current.held], cache, store), store)
          if (options.ownsChunks) spend(current.held.chunks)
          return facts
        }
        await sendParked()
        if (!failure && currentSize > 0) {
          send(current)
          await current.sending
        }
        stopRecording()
        await record({ isAtEnd: true })
        if (failure) throw failure
        return null
      } finally {
        giveBackHeld()
      }
    },
    hasBegun: () => handle !== null || beginning !== null,
    replaced: () => [...current.pieces.map((piece) => piece.key), ...litter],
    async drop() {
      await settle()
      giveBackHeld()
      const known = new Set(session.tail.map((piece) => piece.key))
      const written = drafts.flatMap((draft) => draft.pieces.map((piece) => piece.key)).filter((key) => !known.has(key))
      cache.drop(written)
      return [...written, ...litter.filter((key) => !known.has(key))]
    },
  }
}
