import type { Hash } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import type { Pace } from '../body/bandwidth.ts'
import type { BodySlot } from '../body/body-gate.ts'
import { type BodyEnd, receiveBody } from '../body/receive-body.ts'
import { choosePartSize } from '../create/part-plan.ts'
import type { AppendRequest, Digest } from '../engine.ts'
import type { Facts, UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { type FileHash, hashFile, matchesExpected } from '../file-digest.ts'
import { type PartLocking, uploadLocked, waitForPartLocks } from '../parts/part-locks.ts'
import type { PartWriter } from '../parts/part-writer.ts'
import type { Lease, ObjectStore, UploadPatch, UploadRepository } from '../ports.ts'
import { completeUpload, failDigestMismatch } from '../transitions/record-end.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { assertActive, readContiguousOffset } from '../upload-view.ts'
import {
  lengthExceeded,
  lengthMismatch,
  offsetMismatch,
  resolveLength,
  shuttingDown,
  takenOver,
  takesNoMoreBytes,
} from './append-errors.ts'
import type { WriterDetails } from './open-writer.ts'
import type { RepeatedBytes } from './repeated-bytes.ts'
import { hashOfBody, type Repeats } from './repeated-creation.ts'

export interface AppendOptions {
  uploads: UploadRepository
  store: ObjectStore
  partLocking: PartLocking
  /** Bytes; what the parts of its owner's uploads have unless the file needs larger ones. */
  partSizeFor(upload: UploadRecord): number
  bodyIdleMs: number
  minSpeed: number
  bodyTotalMs: number
  now(): Date
  /** @throws UploadError when whoever sends may not complete the upload: it then stays as it is, with every byte */
  authorizeCompletion(upload: UploadRecord): Promise<void>
  /** @throws UploadError ROLE_NOT_ALLOWED when its owner may not send anything any more, whatever they were told */
  checkRole(upload: UploadRecord): void
  openWriter(lease: Lease, by: Actor, details: WriterDetails): PartWriter
  /** Who sends. */
  by: Actor
  /** The body's place among all that flow. */
  slot: BodySlot
  /** How fast the owner's bodies may come; `null`: as they like. */
  paceOf(upload: UploadRecord): Pace | null
  /** Bodies that are being read; aborting one makes it stop and save. */
  activeBodies: Set<AbortController>
  isDraining(): boolean
  repeatedBytes: RepeatedBytes
  repeats: Pick<Repeats, 'find'>
  /** Ends the upload whose lease is held, and frees what it used: its file is another upload's. */
  giveUp(lease: Lease): Promise<void>
  /** Runs beside the answer. */
  runDetached(work: Promise<unknown>, facts: Facts): void
  onBody(end: BodyEnd, bytes: number): void
}

/**
 * Appends one body to the upload whose lease is held: checks what the request claims, reads until the body ends however it
 * does, and leaves everything that may count recorded. The session returned is `finishing` when the last part is stored and
 * the join is still to come; that waits for its turn outside this lease. It is another upload's when the body is one that this one has become.
 * @throws UploadError see `Engine.append`; HandleLost when the store has forgotten the multipart upload
 */
export async function appendUnderLease(
  lease: Lease,
  chunk: AppendRequest,
  options: AppendOptions,
): Promise<UploadRecord> {
  const { upload } = lease
  const { now } = options
  assertActive(upload, now())
  if (upload.concat?.kind === 'final') throw errors.finalTakesNoBytes()
  if (upload.state !== 'receiving') return respondToCompleted(lease, chunk, options)
  options.checkRole(upload)
  if (!(await waitForPartLocks(lease, options.partLocking))) throw uploadLocked()
  const parts = await readContiguousOffset(upload, options.uploads)
  if (chunk.offset !== upload.offset) throw offsetMismatch(upload, chunk.offset)
  const size = resolveLength(upload, chunk)
  const isNewLength = size !== null && size !== upload.size
  const limit = (size ?? upload.maxSize) - upload.offset
  if (chunk.bodySize !== null && chunk.bodySize > limit) throw lengthExceeded(upload, size)
  // A body that is held back may turn out not to count; then what its request said of the file does not count either.
  if (isNewLength && !chunk.digest) await lease.save({ size })
  const writer = options.openWriter(lease, options.by, {
    size,
    partSize: alignedPartSize(upload, chunk, size ?? upload.maxSize, options),
    awaitsDigest: chunk.digest !== undefined,
    // Node's parser makes a new buffer for every chunk and keeps none; of other bodies nobody knows.
    canDetach: chunk.body instanceof IncomingMessage,
    existingParts: new Set(parts.map((part) => part.number)),
    ...(chunk.onProgress ? { onRecorded: chunk.onProgress } : {}),
  })
  // A file in one body is digested as it comes; one in several is read again when it is whole.
  const fileHash = upload.digests && upload.offset === 0 ? hashFile(upload.digests) : null
  const bodyHash = chunk.repeats && upload.offset === 0 ? hashOfBody() : null
  const end = await receive(lease, chunk.body, limit, options, (bytes) => {
    chunk.digest?.update(bytes)
    fileHash?.update(bytes)
    bodyHash?.update(bytes)
    return writer.take(bytes)
  })
  options.onBody(end, writer.position - chunk.offset)
  try {
    return await conclude(lease, chunk, { end, size, isNewLength, writer, fileHash, bodyHash }, options)
  } catch (error) {
    options.repeatedBytes.countRefused(upload, writer.position - upload.offset, error)
    throw error
  }
}

/** A body that was read as far as it went. */
interface ReceivedBody {
  end: BodyEnd
  /** The file's length, and whether this request is the first to tell it. */
  size: number | null
  isNewLength: boolean
  writer: PartWriter
  /** Has seen the file from its first byte; `null`: not asked for, or it began in another body. */
  fileHash: FileHash | null
  /** As that, where the file may be the repetition of another. */
  bodyHash: Hash | null
}

/** Keeps what came as far as it counts, and ends the upload when that is all of it. */
async function conclude(
  lease: Lease,
  chunk: AppendRequest,
  read: ReceivedBody,
  options: AppendOptions,
): Promise<UploadRecord> {
  const { upload } = lease
  const { size, isNewLength, writer, bodyHash } = read
  let { end } = read
  // A body that is longer than the file is not the file: bytes that are acknowledged stay, the others of this body do not count, so the
  // refused request can never complete the upload.
  if (end === 'overflow') {
    await discardBody(lease, writer, options)
    throw lengthExceeded(upload, size)
  }
  // The bytes that were announced are the whole body, also when somebody asked for the upload before its end was seen.
  if (chunk.bodySize !== null && writer.position - chunk.offset === chunk.bodySize) end = 'clean'
  if (chunk.digest) await verifyDigest(chunk.digest, end, isNewLength ? size : null, lease, writer, options)
  const isWhole =
    (chunk.ending === 'at-size' && writer.position === size) || (chunk.ending === 'with-body' && end === 'clean')
  if (isWhole && (size === null || writer.position === size)) {
    await options.authorizeCompletion(upload).catch(async (error: unknown) => {
      await writer.flush()
      throw error
    })
    const earlier = bodyHash && (await findEarlier(lease, chunk, writer, bodyHash, options))
    return earlier ?? closeWriter(lease, writer, read.fileHash, options)
  }
  await writer.flush()
  if (isWhole) throw lengthMismatch(upload, size)
  if (end === 'idle' || end === 'stopped') throw interrupted(end, upload, options)
  return upload
}

/**
 * The answer to an append to an upload that has all of its bytes already: fine if it brings none, and they would start at the
 * end. A client that did not hear the last answer asks like this. Of a chunked body only its end tells that nothing comes.
 */
async function respondToCompleted(lease: Lease, chunk: AppendRequest, options: AppendOptions): Promise<UploadRecord> {
  const { upload } = lease
  if (chunk.offset !== upload.size) throw offsetMismatch(upload, chunk.offset)
  if (chunk.bodySize !== null && chunk.bodySize > 0) throw takesNoMoreBytes(upload)
  const end = chunk.bodySize === 0 ? 'clean' : await receive(lease, chunk.body, 0, options, () => null)
  if (end === 'overflow') throw takesNoMoreBytes(upload)
  if (end === 'clean') chunk.digest?.verify()
  if (end === 'idle' || end === 'stopped') throw interrupted(end, upload, options)
  return upload
}

/** Reads a body until it ends, until `limit` bytes have come, or until the lease or this server asks for an end. */
async function receive(
  lease: Lease,
  body: AppendRequest['body'],
  limit: number,
  { activeBodies, isDraining, bodyIdleMs: idleMs, minSpeed, bodyTotalMs: totalMs, paceOf, slot }: AppendOptions,
  take: (bytes: Buffer) => Promise<void> | null,
): Promise<BodyEnd> {
  const stop = new AbortController()
  const passOn = () => stop.abort(lease.signal.reason)
  lease.signal.addEventListener('abort', passOn, { once: true })
  const onEvicted = () => stop.abort(slot.signal.reason)
  slot.signal.addEventListener('abort', onEvicted, { once: true })
  if (slot.signal.aborted) onEvicted()
  activeBodies.add(stop)
  // The drain may have begun while the lease was waited for.
  if (isDraining()) stop.abort()
  const signal = lease.signal.aborted ? lease.signal : stop.signal
  try {
    const pace = paceOf(lease.upload)
    return await receiveBody(body, { limit, idleMs, minSpeed, totalMs, signal, pace, slot, take })
  } finally {
    activeBodies.delete(stop)
    lease.signal.removeEventListener('abort', passOn)
    slot.signal.removeEventListener('abort', onEvicted)
  }
}

/** Why a body that went on was not read to its end. */
function interrupted(end: 'idle' | 'stopped', upload: UploadRecord, { isDraining, slot }: AppendOptions): UploadError {
  if (end === 'stopped' && isDraining()) return shuttingDown()
  // To the body of another user.
  if (slot.signal.aborted) return slot.signal.reason as UploadError
  if (end === 'stopped') return takenOver(upload)
  return errors.bodyTooSlow({ offset: upload.offset })
}

/** The upload that this very body has become before, in whose favour this one ends; `null`: there is none. */
async function findEarlier(
  lease: Lease,
  { repeats }: AppendRequest,
  writer: PartWriter,
  bodyHash: Hash,
  options: AppendOptions,
): Promise<UploadRecord | null> {
  const body = { size: writer.position, sha256: bodyHash.digest('base64') }
  const giveUp = async () => {
    await discardBody(lease, writer, options)
    await options.giveUp(lease)
  }
  // While the earlier one is not complete yet, its client is to ask once more; an upload each time would be one file each time.
  const earlier = await options.repeats.find(options.by, repeats!.ids, body).catch(async (error: unknown) => {
    await giveUp()
    throw error
  })
  if (earlier) await giveUp()
  return earlier
}

/** The last bytes: one object at once, or the last part and then the join, which waits for its turn outside this lease. */
async function closeWriter(
  lease: Lease,
  writer: PartWriter,
  fileHash: FileHash | null,
  { now, store, uploads, runDetached, by }: AppendOptions,
): Promise<UploadRecord> {
  const { upload } = lease
  const size = writer.position
  const digests = fileHash?.digests()
  if (digests && !matchesExpected(digests)) {
    await writer.discard()
    await failDigestMismatch(lease, by)
  }
  // Nobody else has left anything: then it is known what there is to remove, and the store need not be searched for it.
  const leftoversAreKnown = !upload.needsCleanup
  const info = await writer.close()
  if (digests) upload.digests = digests
  if (!info) {
    // Of parts that came by number the session does not know the offset, nor that they have taken the place of first bytes that it
    // still keeps; and the writer had nothing to record.
    const change: UploadPatch = { state: 'finishing', size, offset: size, prefix: null, tail: [], release: true }
    await lease.save({ ...change, ...(digests && { digests }) })
    return upload
  }
  await completeUpload(lease, info, { now, store, by })
  if (upload.needsCleanup && leftoversAreKnown) {
    upload.needsCleanup = false
    const removing = store.remove(writer.replacedKeys()).then(() => uploads.markCleanedUp(upload.id))
    runDetached(removing, { uploadId: upload.id, what: 'removing replaced pieces' })
  }
  return upload
}

/** What the body brought counts, and the file's length if it said it; unless this throws: then nothing has changed. */
async function verifyDigest(
  digest: Digest,
  end: BodyEnd,
  newSize: number | null,
  lease: Lease,
  writer: PartWriter,
  options: AppendOptions,
): Promise<void> {
  try {
    if (!(end !== 'clean' && digest.acceptsPartialBody)) {
      if (end !== 'clean') throw errors.checksumUnverified()
      digest.verify()
    }
    if (newSize !== null) await lease.save({ size: newSize })
  } catch (error) {
    await discardBody(lease, writer, options)
    throw error
  }
}

/** Forgets what a refused body brought and no record names yet. */
async function discardBody(lease: Lease, writer: PartWriter, { runDetached, store }: AppendOptions): Promise<void> {
  const tailObjects = await writer.discard()
  if (tailObjects.length > 0)
    runDetached(store.remove(tailObjects), { uploadId: lease.upload.id, what: 'removing refused pieces' })
}

/** Parts as long as the client's chunks leave no tails; only the first body can still decide that. */
function alignedPartSize(
  upload: UploadRecord,
  { bodySize }: AppendRequest,
  size: number,
  { partSizeFor, store }: AppendOptions,
): number {
  if (
    upload.offset > 0 ||
    upload.multipartId !== null ||
    upload.hasNumberedParts ||
    bodySize === null ||
    bodySize === 0
  )
    return upload.partSize
  return choosePartSize({ size, preferred: partSizeFor(upload), limits: store.limits, firstChunkSize: bodySize })
}
