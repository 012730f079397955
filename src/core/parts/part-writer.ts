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

import type { MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import { objectMetadataOf } from '../pairing/origin.ts'
import type { Lease, ObjectInfo, ObjectStore, UploadPatch } from '../ports.ts'
import { type MultipartId, type TailObject, tailSize } from '../upload.ts'
import {
  type BufferedPart,
  bufferedSize,
  concatBytes,
  detachBuffers,
  newBufferedPart,
  noBytes,
  smallTailObjectsAtEnd,
  tailObjectsSize,
} from './buffered-part.ts'
import { putObject } from './put-object.ts'

export interface PartWriterOptions {
  store: ObjectStore
  lease: Lease
  budget: MemoryBudget
  cache: TailCache
  /** Parts of this upload that may be on their way to the store at once. */
  partsInFlight: number
  partSize: number
  /** The whole file's length where it is known. */
  size: number | null
  /** A new private key for a piece of this upload. */
  nextTailKey(): string
  /** What every record also changes: the moment of expiry. */
  expiryPatch(): UploadPatch
  /** Numbers of parts that are recorded already, from where this writer goes on: their receipts end when they are written anew. */
  existingParts: Set<number>
  /** Nobody else holds the chunks: their memory is given back as soon as the store has the part. */
  canDetach: boolean
  /** Nothing is recorded before `flush` or `close`: a digest must agree first. */
  awaitsDigest: boolean
  /** Told after every record; `litter` are the keys that nothing points to any more. */
  onRecorded(offset: number, orphans: string[]): void
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
  close(): Promise<ObjectInfo | null>
  /** The keys of all pieces that the object takes the place of, when it went out at once. */
  replacedKeys(): string[]
  /** Whether the store may have a multipart upload under the session's key. */
  hasMultipart(): boolean
  /** Forgets what was taken and not recorded; returns the keys of what it had written. */
  discard(): Promise<string[]>
}

// More small pieces than this make a part an errand; they are joined into one.
const maxSmallTailObjects = 16
// A record is one statement. Only what is acknowledged must be recorded, so in the middle of a body now and then is enough.
const saveEveryMs = 250

/**
 * A writer that goes on where the lease's session stands. Bytes that the session itself keeps are in no store yet: they are to
 * be brought again, first.
 */
export function createPartWriter(options: PartWriterOptions): PartWriter {
  const { store, lease, budget, cache, partsInFlight, partSize, size } = options
  const { upload } = lease
  const spillAt = Math.max(4 * 1024 ** 2, Math.floor(budget.limit / 16))
  const fitsInMemory = partSize <= Math.max(spillAt, budget.limit / 8)

  let position = upload.offset - (upload.prefix?.length ?? 0)
  let current = newBufferedPart(Math.floor((upload.offset - tailSize(upload)) / partSize) + 1, upload.tail)
  let currentSize = bufferedSize(current)
  const bufferedParts = [current]
  let inFlight = 0
  let multipartId: MultipartId | null = upload.multipartId
  let creating: Promise<MultipartId> | null = null
  let mayBeDuplicated = false
  let spill: Promise<void> | null = null
  let failure: unknown = null
  let wakers: (() => void)[] = []
  /** Keys that nothing will point to after the next record. */
  let orphanedKeys: string[] = []

  const budgetUser = {
    waitingSince: performance.now(),
    missingBytes: () => Math.min(partSize - currentSize, (size ?? Number.POSITIVE_INFINITY) - position),
    spillable: () => (current.sending || spill || failure ? 0 : current.inMemory.size),
    spill: () => spillBuffered().catch(fail),
  }
  const leave = budget.join(budgetUser)

  function take(chunk: Buffer): Promise<void> | null {
    if (failure) return Promise.reject(failure as Error)
    budget.add(chunk.length)
    if (current.inMemory.size === 0) budgetUser.waitingSince = performance.now()
    position += chunk.length
    for (let from = 0; from < chunk.length; ) {
      if (currentSize === partSize) sendCurrent()
      const bytes = chunk.subarray(from, from + partSize - currentSize)
      current.inMemory.chunks.push(bytes)
      current.inMemory.size += bytes.length
      currentSize += bytes.length
      from += bytes.length
    }
    // Full, and more must come: no need to wait for it.
    if (currentSize === partSize && size !== null && position < size) sendCurrent()
    const hasCapacity =
      inFlight < partsInFlight && (fitsInMemory || current.inMemory.size < spillAt) && !budget.isFull(budgetUser)
    return hasCapacity ? null : waitForRoom()
  }

  async function waitForRoom(): Promise<void> {
    await waitForSlot()
    // A part that would hold too much of the budget goes to the store piece by piece and is joined from there.
    if (!failure && !fitsInMemory && current.inMemory.size >= spillAt) await spillBuffered()
    if (!failure) await budget.waitForRoom(budgetUser)
    if (failure) throw failure
  }

  async function waitForSlot(): Promise<void> {
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
    if (options.awaitsDigest && options.existingParts.has(current.number)) defer(current)
    else send(current)
    current = newBufferedPart(current.number + 1)
    currentSize = 0
    bufferedParts.push(current)
  }

  /** Keeps a full draft as pieces: the part that is recorded under its number must stay what it is until a digest has agreed. */
  function defer(part: BufferedPart) {
    inFlight += 1
    part.deferring = (spill ?? Promise.resolve())
      .then(() => spillPart(part))
      .catch(fail)
      .finally(() => {
        inFlight -= 1
        wake()
      })
  }

  /** The digest has agreed: what waited for it takes the place of what is recorded. */
  async function sendDeferred(): Promise<void> {
    for (const part of bufferedParts) {
      if (!part.deferring) continue
      await waitForSlot()
      if (failure) break
      send(part)
    }
    await Promise.all(bufferedParts.map(async (part) => part.sending))
  }

  function send(part: BufferedPart) {
    // What is being spilled is read by that too, and what the cache keeps by whoever else goes on with this upload.
    const mine = part.inMemory.chunks
    const inMemory = part.inMemory.size
    const bytes = concatBytes(part.tailObjects, [part.spilling, part.inMemory], cache, store)
    inFlight += 1
    part.sending = sendPart()
      .catch(fail)
      .finally(() => {
        budget.release(inMemory)
        part.inMemory = noBytes()
        inFlight -= 1
        wake()
      })

    async function sendPart() {
      await lease.confirm()
      multipartId ??= await openMultipart()
      if (options.existingParts.delete(part.number)) await forgetPart(part.number)
      part.stored = await store.uploadPart(upload.key, multipartId, part.number, bytes)
      if (options.canDetach) detachBuffers(mine)
      saveSoon()
    }
  }

  /** In turn with the records: the lease takes one statement at a time. */
  async function forgetPart(number: number): Promise<void> {
    saving = saving.then(() => lease.save({ forget: [number] })).catch(fail)
    await saving
    if (failure) throw failure
  }

  function openMultipart(): Promise<MultipartId> {
    // If its answer is lost there is a multipart upload whose name nobody knows.
    lease.expectOrphan()
    const onDoubt = () => {
      mayBeDuplicated = true
    }
    creating ??= store.createMultipart(upload.key, { ...objectMetadataOf(upload), partSize, onDoubt })
    return creating
  }

  /** Writes what the current draft holds in memory to the store as a piece. One at a time. */
  function spillBuffered(): Promise<void> {
    spill ??= spillPart(current).finally(() => {
      spill = null
    })
    return spill
  }

  async function spillPart(part: BufferedPart): Promise<void> {
    if (part.sending || part.inMemory.size === 0) return
    const spilled = part.inMemory
    part.spilling = spilled
    part.inMemory = noBytes()
    const small = smallTailObjectsAtEnd(part.tailObjects, spillAt)
    const joined = small.length >= maxSmallTailObjects ? small : []
    const bytes = concatBytes(joined, [spilled], cache, store)
    const tailObject: TailObject = { key: options.nextTailKey(), size: bytes.size }
    try {
      await lease.confirm()
      lease.expectOrphan()
      await store.put(tailObject.key, bytes, { contentType: 'application/octet-stream' })
    } catch (error) {
      // The write may have been done and only its answer lost.
      orphanedKeys.push(tailObject.key)
      part.spilling = noBytes()
      if (part.sending) budget.release(spilled.size)
      else
        part.inMemory = {
          chunks: [...spilled.chunks, ...part.inMemory.chunks],
          size: spilled.size + part.inMemory.size,
        }
      throw error
    }
    part.spilling = noBytes()
    budget.release(spilled.size)
    if (part.sending) {
      // It filled up meanwhile and went out with these bytes.
      orphanedKeys.push(tailObject.key)
      return
    }
    part.tailObjects.splice(part.tailObjects.length - joined.length, joined.length, tailObject)
    orphanedKeys.push(...joined.map((one) => one.key))
    if (joined.length === 0 && !budget.underPressure) cache.set(tailObject.key, spilled.chunks, spilled.size)
    else if (options.canDetach) detachBuffers(spilled.chunks)
    saveSoon()
  }

  let saveTimer: NodeJS.Timeout | null = null
  let lastSaveAt = 0
  let saving: Promise<void> = Promise.resolve()

  function saveSoon() {
    if (options.awaitsDigest || saveTimer || failure) return
    saveTimer = setTimeout(
      () => {
        saveTimer = null
        saving = saving.then(() => saveProgress()).catch(fail)
      },
      Math.max(0, lastSaveAt + saveEveryMs - performance.now()),
    )
  }

  /** From here on the caller decides when a record is written. */
  function stopSaving() {
    if (saveTimer) clearTimeout(saveTimer)
    saveTimer = null
  }

  /** Records the run of parts and pieces from the start, and tells what became litter by it. */
  async function saveProgress({ isLast = false, isAtEnd = false } = {}): Promise<void> {
    const firstUnstored = bufferedParts.findIndex((part) => !part.stored)
    const stored = firstUnstored === -1 ? [...bufferedParts] : bufferedParts.slice(0, firstUnstored)
    const tail = firstUnstored === -1 ? [] : [...bufferedParts[firstUnstored]!.tailObjects]
    const parts = stored.map((part) => part.stored!)
    const before = upload.offset - tailSize(upload)
    const offset = before + parts.reduce((bytes, part) => bytes + part.size, 0) + tailObjectsSize(tail)
    const replacedKeys = orphanedKeys
    // A body that may still bring more than the file has must not make it whole: only its end says that the last bytes count.
    if (offset === size && !isAtEnd) return
    // What the session keeps stays until the store has all of it.
    if (upload.prefix !== null && offset < upload.prefix.length) return
    if (
      parts.length === 0 &&
      offset === upload.offset &&
      replacedKeys.length === 0 &&
      multipartId === upload.multipartId
    )
      return
    orphanedKeys = []
    lastSaveAt = performance.now()
    // What lies in the store from now on without a name, until it is removed.
    const leavesOrphans = replacedKeys.length > 0 || stored.some((part) => part.tailObjects.length > 0)
    // Whether there is anything in the store that the session does not name, once this is saved.
    const namesEverything = () => !spill && !mayBeDuplicated && (multipartId !== null || !creating)
    if (isLast && namesEverything()) lease.clearOrphans()
    try {
      await lease.save({
        ...options.expiryPatch(),
        parts,
        tail,
        offset,
        partSize,
        multipartId,
        prefix: null,
        // The store has taken a part: what it seemed to have lost is there.
        ...(parts.length > 0 && upload.lossSeenAt && { lossSeenAt: null }),
        ...(leavesOrphans ? { needsCleanup: true } : {}),
        ...(isLast ? { release: true } : {}),
      })
    } catch (error) {
      if (isLast) lease.expectOrphan()
      orphanedKeys.push(...replacedKeys)
      throw error
    }
    if (namesEverything()) lease.clearOrphans()
    bufferedParts.splice(0, stored.length)
    for (const part of stored) replacedKeys.push(...part.tailObjects.map((tailObject) => tailObject.key))
    cache.drop(replacedKeys)
    options.onRecorded(offset, replacedKeys)
  }

  /** Waits for everything on its way. */
  async function waitForInFlight(): Promise<void> {
    leave()
    await spill?.catch(fail)
    await Promise.all(bufferedParts.map(async (part) => part.sending ?? part.deferring))
    stopSaving()
    await saving
  }

  function releaseMemory() {
    for (const part of bufferedParts) {
      if (part.sending) continue
      budget.release(part.inMemory.size)
      part.inMemory = noBytes()
    }
  }

  return {
    get position() {
      return position
    },
    take,
    async flush() {
      await waitForInFlight()
      try {
        await sendDeferred()
        if (!failure) await spillBuffered()
      } catch (error) {
        fail(error)
      }
      releaseMemory()
      stopSaving()
      // After a failure the lease is still needed: the upload may be lost.
      await saveProgress({ isLast: failure === null, isAtEnd: true })
      if (failure) throw failure
    },
    async close() {
      await waitForInFlight()
      try {
        const isWholeFile = current.number === 1 && multipartId === null
        if (!failure && isWholeFile) {
          const info = await putObject(lease, concatBytes(current.tailObjects, [current.inMemory], cache, store), store)
          if (options.canDetach) detachBuffers(current.inMemory.chunks)
          return info
        }
        await sendDeferred()
        if (!failure && currentSize > 0) {
          send(current)
          await current.sending
        }
        stopSaving()
        await saveProgress({ isAtEnd: true })
        if (failure) throw failure
        return null
      } finally {
        releaseMemory()
      }
    },
    hasMultipart: () => multipartId !== null || creating !== null,
    replacedKeys: () => [...current.tailObjects.map((tailObject) => tailObject.key), ...orphanedKeys],
    async discard() {
      await waitForInFlight()
      releaseMemory()
      const known = new Set(upload.tail.map((tailObject) => tailObject.key))
      const written = bufferedParts
        .flatMap((part) => part.tailObjects.map((tailObject) => tailObject.key))
        .filter((key) => !known.has(key))
      cache.drop(written)
      return [...written, ...orphanedKeys.filter((key) => !known.has(key))]
    },
  }
}
