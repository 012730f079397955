import type { Hash } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import type { BodySlot } from '../body/body-gate.ts'
import { type EngineContext, policyOf } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import { type FileHash, hashFile, matchesExpected } from '../file-digest.ts'
import type { Recorded } from '../finish/record-then-finish.ts'
import type { Lease } from '../lease.ts'
import type { BodyWriter } from '../parts/body-writer.ts'
import { assertNoPartLocks } from '../parts/part-locks.ts'
import { finishingPatch } from '../transitions/begin-finishing.ts'
import { completeUpload, failDigestMismatch } from '../transitions/complete.ts'
import { endRepetition } from '../transitions/end.ts'
import { removeDropped } from '../transitions/leftovers.ts'
import { type Actor, actorOfUpload, type UploadRecord } from '../upload.ts'
import { assertActive } from '../upload-state.ts'
import { alignedPartSize, lengthExceeded, resolveLength } from './lengths.ts'
import { openPartWriter } from './open-writer.ts'
import { type BodyResult, readIncoming } from './read-body.ts'
import { countRefusedBytes } from './repeated-bytes.ts'
import { findRepeated, hashOfBody } from './repeated-creation.ts'
import type { AppendRequest, Digest, Repeat } from './requests.ts'

/**
 * Appends one body to the upload whose lease is held: checks what the request claims, reads until the body ends however it
 * does, and leaves everything recorded that may be kept. The upload returned is `finishing` when the last part is stored and
 * the store has still to make the object; the lease may be released then. It is another upload, one of `repeats`, when that one was made
 * of the same body before.
 * @throws UploadError see `Engine.append`; NoSuchUpload when the store does not know the multipart upload
 */
export async function appendUnderLease(
  context: EngineContext,
  by: Actor,
  lease: Lease,
  request: AppendRequest,
  repeats: Repeat | null,
  slot: BodySlot,
): Promise<Recorded> {
  const { upload } = lease
  assertActive(upload, context.now())
  if (upload.kind === 'final') throw errors.finalTakesNoBytes()
  if (upload.state !== 'receiving')
    return { upload: await respondToCompleted(context, lease, request, slot), parts: null }
  // An owner whose role may not upload any more is refused, whatever limits the upload was created with.
  policyOf(context, actorOfUpload(upload))
  await assertNoPartLocks(context, lease)
  const parts = upload.kind === 'parted' ? await context.uploads.parts(upload.id) : []
  const { offset } = upload
  if (request.offset !== offset) throw errors.offsetMismatch({ offset, provided: request.offset })
  const size = resolveLength(upload, request)
  const isNewLength = size !== null && size !== upload.size
  const limit = (size ?? upload.maxSize) - offset
  if (request.bodySize !== null && request.bodySize > limit) throw lengthExceeded(upload, size)
  // A body with a digest may turn out to be refused; then the length that its request announced does not count either.
  if (isNewLength && !request.digest) await lease.save({ size })

  const writer = openPartWriter(context, lease, by, {
    size,
    partSize: alignedPartSize(context, upload, request, size ?? upload.maxSize),
    awaitsDigest: request.digest !== undefined,
    // Node's parser makes a new buffer for every chunk and keeps none; other streams may keep theirs.
    canDetach: request.body instanceof IncomingMessage,
    existingParts: new Set(parts.map((part) => part.number)),
    ...(request.onProgress ? { onRecorded: request.onProgress } : {}),
  })
  // A file in one body is digested while it arrives; a file in several bodies is read again when it is whole.
  const fileHash = upload.digests && offset === 0 ? hashFile(upload.digests) : null
  const repetition = repeats && offset === 0 ? { ids: repeats.ids, hash: hashOfBody() } : null
  const result = await readIncoming(context, upload, {
    stream: request.body,
    limit,
    partNumber: null,
    slot,
    signal: lease.signal,
    take(bytes) {
      request.digest?.update(bytes)
      fileHash?.update(bytes)
      repetition?.hash.update(bytes)
      return writer.take(bytes)
    },
  })
  context.observer.onBody(result.end, writer.position - request.offset)
  try {
    return await conclude(context, by, lease, request, { ...result, size, isNewLength, writer, fileHash, repetition })
  } catch (error) {
    countRefusedBytes(context, upload, writer.position - upload.offset, error)
    throw error
  }
}

/** A body that was read as far as it went. */
interface ReceivedBody extends BodyResult {
  /** The length of the file, and whether this request is the first to announce it. */
  size: number | null
  isNewLength: boolean
  writer: BodyWriter
  /** Has digested the file from its first byte; `null`: not asked for, or the file began in another body. */
  fileHash: FileHash | null
  /** `null`: the file is no repetition of another upload. */
  repetition: Repetition | null
}

/** Earlier uploads that the body may have made, and its hash from the first byte. */
interface Repetition {
  ids: string[]
  hash: Hash
}

/** Keeps the bytes that count, and completes the upload when they are the last ones. */
async function conclude(
  context: EngineContext,
  by: Actor,
  lease: Lease,
  request: AppendRequest,
  { end: readEnd, cancelledBy, size, isNewLength, writer, fileHash, repetition }: ReceivedBody,
): Promise<Recorded> {
  const { upload } = lease
  // A body that is longer than the file is not the file: acknowledged bytes stay, and the others of this body do not count, so that the
  // refused request can never complete the upload.
  if (readEnd === 'too-long') {
    await discardBody(context, lease, writer)
    throw lengthExceeded(upload, size)
  }
  // The announced bytes are the whole body, also when another request asked for the upload before the end of the body was seen.
  const isAnnounced = request.bodySize !== null && writer.position - request.offset === request.bodySize
  const end = isAnnounced ? 'complete' : readEnd
  if (request.digest) await verifyDigest(context, lease, writer, request.digest, end, isNewLength ? size : null)
  const isWhole =
    (request.ending === 'at-size' && writer.position === size) || (request.ending === 'with-body' && end === 'complete')
  if (isWhole && (size === null || writer.position === size)) {
    await context.authorization.authorize(by, 'complete', upload).catch(async (error: unknown) => {
      await writer.flush()
      throw error
    })
    const earlier = repetition && (await findEarlier(context, by, lease, repetition, writer))
    return earlier ? { upload: earlier, parts: null } : closeWriter(context, by, lease, writer, fileHash)
  }
  await writer.flush()
  if (isWhole) throw errors.lengthMismatch({ offset: upload.offset, size })
  if (end === 'timeout') throw errors.bodyTooSlow({ offset: upload.offset })
  if (end === 'cancelled') throw cancelledBy!
  return { upload, parts: null }
}

/**
 * The answer to an append to an upload that has all of its bytes already: success if it brings none and starts at the end. A client that
 * did not receive the last answer asks like this. Only the end of a chunked body shows that it brings nothing.
 */
async function respondToCompleted(
  context: EngineContext,
  lease: Lease,
  { offset, body: stream, bodySize, digest }: AppendRequest,
  slot: BodySlot,
): Promise<UploadRecord> {
  const { upload } = lease
  if (offset !== upload.size) throw errors.offsetMismatch({ offset: upload.offset, provided: offset })
  if (bodySize !== null && bodySize > 0) throw errors.takesNoMoreBytes({ offset: upload.offset })
  if (bodySize === 0) return upload
  const { signal } = lease
  const { end, cancelledBy } = await readIncoming(context, upload, {
    stream,
    limit: 0,
    partNumber: null,
    slot,
    signal,
    take: () => null,
  })
  if (end === 'too-long') throw errors.takesNoMoreBytes({ offset: upload.offset })
  if (end === 'complete') digest?.verify()
  if (end === 'timeout') throw errors.bodyTooSlow({ offset: upload.offset })
  if (end === 'cancelled') throw cancelledBy!
  return upload
}

/** The upload that was made of the same body before, in whose favour this one ends; `null`: there is none. */
async function findEarlier(
  context: EngineContext,
  by: Actor,
  lease: Lease,
  { ids, hash }: Repetition,
  writer: BodyWriter,
): Promise<UploadRecord | null> {
  const body = { size: writer.position, sha256: hash.digest('base64') }
  const discardUpload = async () => {
    await discardBody(context, lease, writer)
    await endRepetition(context, lease, by)
  }
  // While the earlier upload is not complete yet, its client has to ask again; one more upload for each attempt would be one more file.
  const earlier = await findRepeated(context, by, ids, body).catch(async (error: unknown) => {
    await discardUpload()
    throw error
  })
  if (earlier) await discardUpload()
  return earlier
}

/** Stores the last bytes: the whole file as one object, or the last part, recorded by the statement that begins to finish the upload. */
async function closeWriter(
  context: EngineContext,
  by: Actor,
  lease: Lease,
  writer: BodyWriter,
  fileHash: FileHash | null,
): Promise<Recorded> {
  const { upload } = lease
  const size = writer.position
  const digests = fileHash?.digests()
  if (digests && !matchesExpected(digests)) {
    await writer.discard()
    await failDigestMismatch(lease, by)
  }
  const closed = await writer.close(() => {
    // A request that waits for the upload gets it before the store makes the object, which may take long.
    const release = lease.signal.aborted
    return finishingPatch(upload, { size, offset: size, prefix: null, tail: [], release, ...(digests && { digests }) })
  })
  if (digests) upload.digests = digests
  if (closed.object === null) return { upload, parts: closed.parts }
  await completeUpload(context, lease, closed.object, by)
  return { upload, parts: null }
}

/** Verifies the body and records the length that its request announced; if this throws, nothing has changed. */
async function verifyDigest(
  context: EngineContext,
  lease: Lease,
  writer: BodyWriter,
  digest: Digest,
  end: BodyResult['end'],
  newSize: number | null,
): Promise<void> {
  try {
    if (end === 'complete') digest.verify()
    else if (!digest.acceptsPartialBody) throw errors.checksumUnverified()
    if (newSize !== null) await lease.save({ size: newSize })
  } catch (error) {
    await discardBody(context, lease, writer)
    throw error
  }
}

/** Forgets the bytes of a refused body that are not recorded yet. */
async function discardBody(context: EngineContext, lease: Lease, writer: BodyWriter): Promise<void> {
  await writer.discard()
  removeDropped(context, lease)
}
