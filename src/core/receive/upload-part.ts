/*
 * Chunks that come in any order and beside each other, each exactly one part of the upload. They take no lease, or they could
 * not come in parallel, but each claims its part: see part-claims.
 */

import { notFound } from '../access/access.ts'
import type { Authorization } from '../access/authorization.ts'
import type { Pace } from '../body/bandwidth.ts'
import type { BodySlot } from '../body/body-gate.ts'
import { type BodyEnd, receiveBody } from '../body/receive-body.ts'
import type { PartList, PartUpload, UploadedPart } from '../engine.ts'
import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import { objectMetadataOf } from '../pairing/origin.ts'
import { createPartBuffer, type PartBuffer } from '../parts/part-buffer.ts'
import { type PartLocking, storePart, uploadLocked, waitForPartLocks } from '../parts/part-locks.ts'
import {
  type Lease,
  type Locker,
  NoSuchKey,
  NoSuchUpload,
  type ObjectStore,
  type UploadPatch,
  type UploadRepository,
} from '../ports.ts'
import { observeLoss } from '../transitions/loss.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { assertActive, readContiguousOffset, toUpload } from '../upload-view.ts'
import type { ContentPolicy } from './content-gate.ts'
import { assertPartAccepted, compareParts, sizeOfPart, uploadCompleted, wrongPartSize } from './part-errors.ts'
import { createPartGate, type PartGate } from './part-gate.ts'
import type { RepeatedBytes } from './repeated-bytes.ts'

export interface PartUploadOptions extends PartLocking {
  /** See `LossOptions`. */
  lossConfirmMs: number
  uploads: UploadRepository
  store: ObjectStore
  locker: Locker
  authorization: Authorization
  budget: MemoryBudget
  cache: TailCache
  bodyIdleMs: number
  minSpeed: number
  bodyTotalMs: number
  now(): Date
  nextExpiry(upload: UploadRecord): Date | null
  repeatedBytes: RepeatedBytes
  /** How fast the owner's bodies may come; `null`: as they like. */
  paceOf(upload: UploadRecord): Pace | null
  nextTailKey(upload: UploadRecord): string
  onBody(end: BodyEnd, bytes: number): void
  /** Absent: nobody looks at the first bytes. */
  contentPolicy: ContentPolicy | null
  /** Removes what nothing points to, when nobody waits. */
  discard(keys: string[], upload: UploadRecord): void
}

export interface PartUploads {
  /** `passage`: the body's place among all that flow. */
  uploadPart(actor: Actor, id: string, chunk: PartUpload, slot: BodySlot): Promise<UploadedPart>
  listParts(actor: Actor, id: string): Promise<PartList>
  /** Moves an upload of which every byte is there to `finishing`. */
  close(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<void>
  /** Ends the bodies that are being read here, of one upload or of all; `refusal` is their answer, as soon as it is known. */
  stop(error: () => UploadError | Promise<UploadError>, id?: string): void
}

/** A chunk whose body is being read. */
interface ActivePart {
  id: string
  number: number
  stop: AbortController
  lastByteAt: number
}

// A connection that lives brings something within this.
const stalledMs = 500

/** Numbered chunks over the same sessions as everything else. */
export function createPartUploads(options: PartUploadOptions): PartUploads {
  const { uploads, store, locker, now, repeatedBytes } = options
  const { ownerCheck, authorize } = options.authorization
  const activeParts = new Set<ActivePart>()

  /** The session with a multipart upload begun for it, so that parts may come from anywhere. */
  async function openForParts(actor: Actor, id: string, chunk: PartUpload): Promise<UploadRecord> {
    const found = await locker.waitForRelease(id, ownerCheck(actor, 'append'))
    assertPartAccepted(found, chunk, now())
    if (acceptsParts(found)) return found
    return withLock(actor, id, async (lease) => {
      const { upload } = lease
      assertPartAccepted(upload, chunk, now())
      if (acceptsParts(upload)) return upload
      const change: UploadPatch = { hasNumberedParts: true, expiresAt: options.nextExpiry(upload) }
      if (upload.multipartId === null) {
        await lease.confirm()
        // If its answer is lost there is a multipart upload whose name nobody knows.
        lease.expectOrphan()
        change.multipartId = await store.createMultipart(upload.key, {
          ...objectMetadataOf(upload),
          partSize: upload.partSize,
        })
      }
      await lease.save(change)
      return upload
    })
  }

  async function uploadPart(actor: Actor, id: string, chunk: PartUpload, slot: BodySlot): Promise<UploadedPart> {
    const found = await locker.waitForRelease(id, ownerCheck(actor, 'append'))
    await authorize(actor, 'append', found)
    assertPartAccepted(found, chunk, now())
    await repeatedBytes.assertAllowed(found, chunk.number)
    const expiresAt = options.nextExpiry(found)
    const gate = openPartGate(actor, found, chunk)
    const buffer = createPartBuffer({
      ...options,
      nextTailKey: () => options.nextTailKey(found),
      minSpill: gate?.size ?? 0,
      async beforeSpill() {
        await gate?.resolve()
        // Nothing is stored before the session says so: who ends the upload would not look for it.
        while (!(await uploads.markWriting(id, expiresAt))) await waitUntilWritable(actor, id)
      },
    })
    let upload = found
    try {
      await receivePart(chunk, found, buffer, gate, slot)
      await gate?.resolve()
      // Until now the first body that was appended could still choose other parts.
      upload = await openForParts(actor, id, { ...chunk, bodySize: buffer.size })
      if (gate && upload.contentType !== gate.contentType) throw uploadLocked()
      const bytes = await buffer.whole()
      const { number } = chunk
      const part = await storePart(
        {
          id,
          number,
          bytes,
          expiresAt,
          waitUntilWritable: () => waitUntilWritable(actor, id),
          onRepeated: () => repeatedBytes.count(upload, bytes.size),
          write: () => store.uploadPart(upload.key, upload.multipartId!, number, bytes),
        },
        options,
      )
      return { upload: { ...toUpload(upload), expiresAt }, etag: part.etag, size: part.size }
    } catch (error) {
      repeatedBytes.countRefused(upload, buffer.size, error)
      if (error instanceof NoSuchUpload)
        return await locker.withLock(
          id,
          () => {},
          (lease) => onNoSuchUpload(lease, upload, error, actor),
        )
      if (error instanceof NoSuchKey) {
        // Its pieces, which whoever frees an ended upload removes with all others.
        await waitUntilWritable(actor, id)
        throw uploadLocked()
      }
      throw error
    } finally {
      const tailObjects = await buffer.release()
      if (tailObjects.length > 0) options.discard(tailObjects, upload)
    }
  }

  /** Waits for whoever holds the lease. @throws UploadError when the upload takes no chunks any more */
  async function waitUntilWritable(actor: Actor, id: string): Promise<void> {
    const upload = await locker.waitForRelease(id, ownerCheck(actor, 'append'))
    assertActive(upload, now())
    if (upload.state !== 'receiving') throw uploadCompleted()
  }

  /** The store knows nothing of the upload: because it has ended meanwhile, or because it was lost. */
  async function onNoSuchUpload(lease: Lease, seen: UploadRecord, cause: NoSuchUpload, by: Actor): Promise<never> {
    const { upload } = lease
    assertActive(upload, now())
    if (upload.state !== 'receiving') throw uploadCompleted()
    if (upload.multipartId !== seen.multipartId) throw uploadLocked()
    await observeLoss(lease, cause, by, options)
    throw uploadCompleted()
  }

  function withLock<T>(actor: Actor, id: string, work: (lease: Lease) => Promise<T>): Promise<T> {
    return locker.withLock(id, ownerCheck(actor, 'append'), work)
  }

  /** For the chunk whose bytes say what the file is. A partial upload is no file. */
  function openPartGate(actor: Actor, upload: UploadRecord, chunk: PartUpload): PartGate | null {
    if (options.contentPolicy === null || chunk.number !== 1 || upload.concat?.kind === 'partial') return null
    return createPartGate(upload, options.contentPolicy, uploads, actor, (work) =>
      withLock(actor, upload.id, (lease) => {
        assertPartAccepted(lease.upload, chunk, now())
        return work(lease)
      }),
    )
  }

  /**
   * A client that sends a chunk again has given its older request up, which would hold a place until it times out. Two that come beside
   * each other are let be: both bring the same.
   */
  function cancelOlder(id: string, number: number): void {
    const older = [...activeParts].filter((one) => one.id === id && one.number === number)
    const now = performance.now()
    for (const [at, one] of older.entries())
      if (at < older.length - 1 || now - one.lastByteAt > stalledMs) one.stop.abort(supersededBy(number))
  }

  async function receivePart(
    { body, digest, number }: PartUpload,
    upload: UploadRecord,
    to: PartBuffer,
    gate: PartGate | null,
    slot: BodySlot,
  ): Promise<void> {
    const size = sizeOfPart(upload, number)
    cancelOlder(upload.id, number)
    const active = { id: upload.id, number, stop: new AbortController(), lastByteAt: performance.now() }
    const onEvicted = () => active.stop.abort(slot.signal.reason)
    slot.signal.addEventListener('abort', onEvicted, { once: true })
    if (slot.signal.aborted) onEvicted()
    activeParts.add(active)
    let failure: unknown = null
    const end = await receiveBody(body, {
      limit: size,
      idleMs: options.bodyIdleMs,
      minSpeed: options.minSpeed,
      totalMs: options.bodyTotalMs,
      signal: active.stop.signal,
      pace: options.paceOf(upload),
      slot,
      take(bytes) {
        active.lastByteAt = performance.now()
        digest?.update(bytes)
        gate?.observe(bytes)
        return (
          to.take(bytes)?.catch((error: unknown) => {
            failure = error
            throw error
          }) ?? null
        )
      },
    }).finally(() => {
      activeParts.delete(active)
      slot.signal.removeEventListener('abort', onEvicted)
    })
    options.onBody(end, to.size)
    if (failure) throw failure
    if (end === 'stopped') throw (await active.stop.signal.reason) as UploadError
    if (end === 'idle') throw errors.partTimeout({ number })
    if (end === 'overflow' || (end === 'clean' && to.size !== size)) throw wrongPartSize(number, size)
    if (end === 'early') throw errors.partIncomplete({ number })
    digest?.verify()
  }

  async function close(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<void> {
    await locker.withLock(id, ownerCheck(actor, 'complete'), async (lease) => {
      const { upload } = lease
      assertActive(upload, now())
      if (upload.state !== 'receiving') return
      await authorize(actor, 'complete', upload)
      if (!(await waitForPartLocks(lease, options))) throw uploadLocked()
      const parts = upload.hasNumberedParts ? await readContiguousOffset(upload, uploads) : await uploads.parts(id)
      if (expected) compareParts(expected, parts)
      const size = upload.size ?? upload.offset
      if (upload.offset !== size) {
        throw errors.bytesMissing({ offset: upload.offset, size })
      }
      await lease.save({
        state: 'finishing',
        offset: size,
        size,
        prefix: upload.prefix,
        tail: upload.tail,
        release: true,
      })
    })
  }

  return {
    uploadPart,
    close,
    async listParts(actor, id) {
      const session = await uploads.find(id)
      if (!session) throw notFound()
      ownerCheck(actor, 'read')(session)
      await authorize(actor, 'read', session)
      const parts = session.state === 'completed' ? [] : await uploads.parts(id)
      await readContiguousOffset(session, uploads)
      const isExpired = session.state === 'receiving' && session.expiresAt !== null && session.expiresAt <= now()
      const upload = toUpload(session)
      return { upload: isExpired ? { ...upload, state: 'expired' } : upload, parts }
    },
    stop(error, id) {
      for (const one of activeParts) if (id === undefined || one.id === id) one.stop.abort(error())
    },
  }
}

/** Whether parts may come from anywhere. */
function acceptsParts(upload: UploadRecord): boolean {
  return upload.multipartId !== null && upload.hasNumberedParts
}

function supersededBy(number: number): UploadError {
  return errors.partSuperseded({ number })
}
