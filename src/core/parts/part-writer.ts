/*
 * The part writer turns a stream of bytes into parts of one size and a tail.
 *
 * Bytes are collected by reference into the current part. A part that is full is sent to the store while the next one fills; several
 * may be on their way, and the store may have them in any order. The row always names a run without a gap from the start: parts, then the
 * tail objects of the first part that is not stored. A tail object is a private object with bytes that do not fill a part. It is written
 * when a body ends in the middle of a part, or earlier when memory runs short, and removed only after the row names what replaced it.
 *
 * The life of a part: filling → sending → stored. While it fills, its bytes may be spilled to a tail object. While a digest is awaited, a
 * full part whose number is recorded already is deferred instead of sent: its bytes wait as tail objects, so that the recorded part stays
 * what it is until the digest has been verified. Before that nothing is recorded either.
 *
 * A file that fits into one part never becomes a multipart upload: its bytes wait until the end is known and are then written as one
 * object.
 */
import type { Lease } from '../lease.ts'
import type { MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import type { ObjectInfo, ObjectStore } from '../ports/object-store.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import { type MultipartId, type TailObject, tailSize } from '../upload.ts'
import {
  type BufferedPart,
  bufferedSize,
  concatBytes,
  detachBuffers,
  newBufferedPart,
  noBytes,
  smallTailObjectsAtEnd,
} from './buffered-part.ts'
import { createMultipart } from './multipart.ts'
import { ProgressRecorder } from './progress-recorder.ts'
import { putObject } from './put-object.ts'
import { recordable } from './recordable.ts'

/** What a writer works with, and what its body asks of it. */
export interface PartWriterOptions {
  store: ObjectStore
  lease: Lease
  budget: MemoryBudget
  cache: TailCache
  /** Parts of this upload that may be on their way to the store at once. */
  partsInFlight: number
  partSize: number
  /** The length of the file; `null` while it is unknown. */
  size: number | null
  /** A new key for a tail object of this upload. */
  nextTailKey(): string
  /** What every save changes as well: when the upload expires. */
  expiryPatch(): UploadPatch
  /** Numbers of recorded parts behind the offset: their rows are removed before they are overwritten. */
  existingParts: Set<number>
  /** The chunks are not used elsewhere: their memory is given back as soon as the store has the part. */
  canDetach: boolean
  /** A digest must be verified before `flush` or `close`, and nothing is recorded until then. */
  awaitsDigest: boolean
  /** Called after every save. */
  onRecorded(offset: number): void
}

/** Takes the bytes of one body. */
export interface PartWriter {
  /** Where the next byte belongs. */
  readonly position: number
  /** Takes a chunk. A promise asks the caller to wait before it brings the next one, and rejects when the store failed. */
  take(chunk: Buffer): Promise<void> | null
  /**
   * Stores and records the bytes taken, those that do not fill a part as a tail object; also when it throws, what the store has is
   * recorded. Nothing may be saved after it: the same statement gives the lease back.
   */
  flush(): Promise<void>
  /**
   * The same for the last bytes of the file. Returns the object when the whole file was written at once, which the caller records; `null`
   * when every part is recorded and the multipart upload is to be completed.
   */
  close(): Promise<ObjectInfo | null>
  /** Drops the bytes that are not recorded, and the objects that hold them. */
  discard(): Promise<void>
}

// A part is read back from its tail objects; more small ones than this are joined into one.
const maxSmallTailObjects = 16

/**
 * A writer that continues at the offset of the lease's upload. The prefix that the row keeps is not in the store yet: the caller brings
 * those bytes again, first.
 */
export function createPartWriter(options: PartWriterOptions): PartWriter {
  const { store, lease, budget, cache, partsInFlight, partSize, size } = options
  const { upload, ledger } = lease
  const spillAt = Math.max(4 * 1024 ** 2, Math.floor(budget.limit / 16))
  const fitsInMemory = partSize <= Math.max(spillAt, budget.limit / 8)

  let position = upload.offset - (upload.prefix?.length ?? 0)
  let current = newBufferedPart(Math.floor((upload.offset - tailSize(upload)) / partSize) + 1, upload.tail)
  let currentSize = bufferedSize(current)
  const bufferedParts = [current]
  let inFlight = 0
  let multipartId: MultipartId | null = upload.multipartId
  let creating: Promise<MultipartId> | null = null
  let spill: Promise<void> | null = null
  let failure: unknown = null
  let wakers: (() => void)[] = []

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
    // A part that would take too much of the budget goes to the store in tail objects and is read back from there.
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

  /** Keeps a full part as tail objects: the part recorded under its number must stay what it is until the digest is verified. */
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

  /** The digest is verified: the deferred parts replace the recorded ones. */
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
    // Bytes that are being spilled are read by the spill as well, and cached ones by the next request for this upload: both are kept.
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

  /** In turn with the saves: the lease takes one statement at a time. */
  async function forgetPart(number: number): Promise<void> {
    await recorder.inTurn(() => lease.save({ forget: [number] }))
    if (failure) throw failure
  }

  function openMultipart(): Promise<MultipartId> {
    creating ??= createMultipart(lease, store, partSize)
    return creating
  }

  /** Writes the bytes of the current part that are in memory to the store as a tail object. One at a time. */
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
      await ledger.writing(tailObject.key, () =>
        store.put(tailObject.key, bytes, { contentType: 'application/octet-stream' }),
      )
    } catch (error) {
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
      // The part filled up meanwhile and was sent with these bytes.
      ledger.drop([tailObject.key])
      return
    }
    part.tailObjects.splice(part.tailObjects.length - joined.length, joined.length, tailObject)
    ledger.drop(joined.map((one) => one.key))
    if (joined.length === 0 && !budget.underPressure) cache.set(tailObject.key, spilled.chunks, spilled.size)
    else if (options.canDetach) detachBuffers(spilled.chunks)
    saveSoon()
  }

  const recorder = new ProgressRecorder(() => saveProgress(), fail)

  function saveSoon() {
    if (!options.awaitsDigest && !failure) recorder.soon()
  }

  /** Saves what is recordable. */
  async function saveProgress({ isLast = false, isAtEnd = false } = {}): Promise<void> {
    const { parts, tail, size: recordedSize, replaced } = recordable(bufferedParts)
    const offset = upload.offset - tailSize(upload) + recordedSize
    // A body that may still bring more than the file has must not make the upload whole: only its end shows that the last bytes count.
    if (offset === size && !isAtEnd) return
    // The prefix stays in the row until the store has all of it.
    if (upload.prefix !== null && offset < upload.prefix.length) return
    const isMultipartNamed = multipartId === upload.multipartId
    // Tail objects may have been joined to others.
    const isTailNamed = tail.every(({ key }, at) => upload.tail[at]?.key === key)
    if (parts.length === 0 && offset === upload.offset && isTailNamed && isMultipartNamed) return
    recorder.began()
    await lease.save({
      ...options.expiryPatch(),
      parts,
      tail,
      offset,
      partSize,
      multipartId,
      prefix: null,
      // The store has taken a part, so an earlier observation of a loss was wrong.
      ...(parts.length > 0 && upload.lossSeenAt && { lossSeenAt: null }),
      ...(isLast ? { release: true } : {}),
    })
    ledger.drop(replaced)
    bufferedParts.splice(0, parts.length)
    options.onRecorded(offset)
  }

  /** Waits for everything that is on its way to the store or the database. */
  async function waitForInFlight(): Promise<void> {
    leave()
    await spill?.catch(fail)
    await Promise.all(bufferedParts.map(async (part) => part.sending ?? part.deferring))
    await recorder.stopped()
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
      recorder.stop()
      // After a failure the lease is still needed, because the loss of the upload may have to be recorded.
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
          ledger.drop(current.tailObjects.map(({ key }) => key))
          return info
        }
        await sendDeferred()
        if (!failure && currentSize > 0) {
          send(current)
          await current.sending
        }
        recorder.stop()
        await saveProgress({ isAtEnd: true })
        if (failure) throw failure
        return null
      } finally {
        releaseMemory()
      }
    },
    async discard() {
      await waitForInFlight()
      releaseMemory()
      ledger.drop(bufferedParts.flatMap((part) => part.tailObjects.map(({ key }) => key)))
    },
  }
}
