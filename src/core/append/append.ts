import type { Hash } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { choosePartSize } from '../begin/part-plan.ts'
import type { Append, Digest } from '../engine.ts'
import { type Facts, UploadError } from '../errors.ts'
import { type FileHash, hashFile, isAsExpected } from '../finish/file-digest.ts'
import { recordCompletion, recordOtherFile } from '../finish/record-end.ts'
import type { WriterDetails } from '../parts/open-writer.ts'
import { type Claiming, isQuiet, locked } from '../parts/part-claims.ts'
import type { PartWriter } from '../parts/part-writer.ts'
import type { Change, Lease, ObjectStore, Sessions } from '../ports.ts'
import { closeRanks, refuseEnded } from '../session-view.ts'
import type { Actor, Session } from '../upload.ts'
import {
  agreeOnSize,
  hasAllBytes,
  lengthMismatch,
  offsetMismatch,
  shuttingDown,
  takenOver,
  tooManyBytes,
} from './append-refusals.ts'
import type { Pace } from './bandwidth.ts'
import { type BodyEnd, readBody } from './body.ts'
import type { Passage } from './body-gate.ts'
import { hashOfBody, type Repeats } from './repeats.ts'
import type { SentAgain } from './sent-again.ts'

export interface Appending {
  sessions: Sessions
  store: ObjectStore
  claiming: Claiming
  /** Bytes; what the parts of its owner's uploads have unless the file needs larger ones. */
  partSizeFor(session: Session): number
  bodyIdleMs: number
  minSpeed: number
  bodyTotalMs: number
  now(): Date
  /** @throws UploadError when whoever sends may not complete the upload: it then stays as it is, with every byte */
  permitCompletion(session: Session): Promise<void>
  /** @throws UploadError ROLE_NOT_ALLOWED when its owner may not send anything any more, whatever they were told */
  checkRole(session: Session): void
  openWriter(lease: Lease, by: Actor, details: WriterDetails): PartWriter
  /** Who sends. */
  by: Actor
  /** The body's place among all that flow. */
  passage: Passage
  /** How fast the owner's bodies may come; `null`: as they like. */
  paceOf(session: Session): Pace | null
  /** Bodies that are being read; aborting one makes it stop and save. */
  running: Set<AbortController>
  isDraining(): boolean
  again: SentAgain
  repeats: Pick<Repeats, 'find'>
  /** Ends the upload whose lease is held, and frees what it used: its file is another upload's. */
  giveUp(lease: Lease): Promise<void>
  /** Runs beside the answer. */
  later(work: Promise<unknown>, facts: Facts): void
  onBody(end: BodyEnd, bytes: number): void
}

/**
 * Appends one body to the upload whose lease is held: checks what the request claims, reads until the body ends however it
 * does, and leaves everything that may count recorded. The session returned is `finishing` when the last part is stored and
 * the join is still to come; that waits for its turn outside this lease. It is another upload's when the body is one that this one has become.
 * @throws UploadError see `Engine.append`; HandleLost when the store has forgotten the multipart upload
 */
export async function appendUnderLease(lease: Lease, chunk: Append, options: Appending): Promise<Session> {
  const { session } = lease
  const { now } = options
  refuseEnded(session, now())
  if (session.concat?.kind === 'final')
    throw new UploadError('FORBIDDEN', 'A final upload is made of its parts and takes no bytes.')
  if (session.state !== 'receiving') return answerWhole(lease, chunk, options)
  options.checkRole(session)
  if (!(await isQuiet(lease, options.claiming))) throw locked()
  const parts = await closeRanks(session, options.sessions)
  if (chunk.offset !== session.offset) throw offsetMismatch(session, chunk.offset)
  const size = agreeOnSize(session, chunk)
  const isNews = size !== null && size !== session.size
  const limit = (size ?? session.maxSize) - session.offset
  if (chunk.bodySize !== null && chunk.bodySize > limit) throw tooManyBytes(session, size)
  // A body that is held back may turn out not to count; then what its request said of the file does not count either.
  if (isNews && !chunk.digest) await lease.save({ size })
  const writer = options.openWriter(lease, options.by, {
    size,
    partSize: alignedPartSize(session, chunk, size ?? session.maxSize, options),
    isHeldBack: chunk.digest !== undefined,
    // Node's parser makes a new buffer for every chunk and keeps none; of other bodies nobody knows.
    ownsChunks: chunk.body instanceof IncomingMessage,
    overwrites: new Set(parts.map((part) => part.number)),
    ...(chunk.onProgress ? { onRecorded: chunk.onProgress } : {}),
  })
  // A file in one body is digested as it comes; one in several is read again when it is whole.
  const fileHash = session.digests && session.offset === 0 ? hashFile(session.digests) : null
  const bodyHash = chunk.repeats && session.offset === 0 ? hashOfBody() : null
  const end = await receive(lease, chunk.body, limit, options, (bytes) => {
    chunk.digest?.update(bytes)
    fileHash?.update(bytes)
    bodyHash?.update(bytes)
    return writer.take(bytes)
  })
  options.onBody(end, writer.position - chunk.offset)
  try {
    return await conclude(lease, chunk, { end, size, isNews, writer, fileHash, bodyHash }, options)
  } catch (error) {
    options.again.countRefused(session, writer.position - session.offset, error)
    throw error
  }
}

/** A body that was read as far as it went. */
interface Read {
  end: BodyEnd
  /** The file's length, and whether this request is the first to tell it. */
  size: number | null
  isNews: boolean
  writer: PartWriter
  /** Has seen the file from its first byte; `null`: not asked for, or it began in another body. */
  fileHash: FileHash | null
  /** As that, where the file may be the repetition of another. */
  bodyHash: Hash | null
}

/** Keeps what came as far as it counts, and ends the upload when that is all of it. */
async function conclude(lease: Lease, chunk: Append, read: Read, options: Appending): Promise<Session> {
  const { session } = lease
  const { size, isNews, writer, bodyHash } = read
  let { end } = read
  // A body that is longer than the file is not the file: bytes that are acknowledged stay, the others of this body do not count, so the
  // refused request can never complete the upload.
  if (end === 'overflow') {
    await dropBody(lease, writer, options)
    throw tooManyBytes(session, size)
  }
  // The bytes that were announced are the whole body, also when somebody asked for the upload before its end was seen.
  if (chunk.bodySize !== null && writer.position - chunk.offset === chunk.bodySize) end = 'clean'
  if (chunk.digest) await agreeWithDigest(chunk.digest, end, isNews ? size : null, lease, writer, options)
  const isWhole =
    (chunk.ending === 'at-size' && writer.position === size) || (chunk.ending === 'with-body' && end === 'clean')
  if (isWhole && (size === null || writer.position === size)) {
    await options.permitCompletion(session).catch(async (refusal: unknown) => {
      await writer.flush()
      throw refusal
    })
    const earlier = bodyHash && (await findEarlier(lease, chunk, writer, bodyHash, options))
    return earlier ?? closeUpload(lease, writer, read.fileHash, options)
  }
  await writer.flush()
  if (isWhole) throw lengthMismatch(session, size)
  if (end === 'idle' || end === 'stopped') throw interrupted(end, session, options)
  return session
}

/**
 * The answer to an append to an upload that has all of its bytes already: fine if it brings none, and they would start at the
 * end. A client that did not hear the last answer asks like this. Of a chunked body only its end tells that nothing comes.
 */
async function answerWhole(lease: Lease, chunk: Append, options: Appending): Promise<Session> {
  const { session } = lease
  if (chunk.offset !== session.size) throw offsetMismatch(session, chunk.offset)
  if (chunk.bodySize !== null && chunk.bodySize > 0) throw hasAllBytes(session)
  const end = chunk.bodySize === 0 ? 'clean' : await receive(lease, chunk.body, 0, options, () => null)
  if (end === 'overflow') throw hasAllBytes(session)
  if (end === 'clean') chunk.digest?.verify()
  if (end === 'idle' || end === 'stopped') throw interrupted(end, session, options)
  return session
}

/** Reads a body until it ends, until `limit` bytes have come, or until the lease or this server asks for an end. */
async function receive(
  lease: Lease,
  body: Append['body'],
  limit: number,
  { running, isDraining, bodyIdleMs: idleMs, minSpeed, bodyTotalMs: totalMs, paceOf, passage }: Appending,
  take: (bytes: Buffer) => Promise<void> | null,
): Promise<BodyEnd> {
  const stop = new AbortController()
  const passOn = () => stop.abort(lease.signal.reason)
  lease.signal.addEventListener('abort', passOn, { once: true })
  const giveWay = () => stop.abort(passage.signal.reason)
  passage.signal.addEventListener('abort', giveWay, { once: true })
  if (passage.signal.aborted) giveWay()
  running.add(stop)
  // The drain may have begun while the lease was waited for.
  if (isDraining()) stop.abort()
  const signal = lease.signal.aborted ? lease.signal : stop.signal
  try {
    const pace = paceOf(lease.session)
    return await readBody(body, { limit, idleMs, minSpeed, totalMs, signal, pace, passage, take })
  } finally {
    running.delete(stop)
    lease.signal.removeEventListener('abort', passOn)
    passage.signal.removeEventListener('abort', giveWay)
  }
}

/** Why a body that went on was not read to its end. */
function interrupted(end: 'idle' | 'stopped', session: Session, { isDraining, passage }: Appending): UploadError {
  if (end === 'stopped' && isDraining()) return shuttingDown()
  // To the body of another user.
  if (passage.signal.aborted) return passage.signal.reason as UploadError
  if (end === 'stopped') return takenOver(session)
  return new UploadError('BODY_TIMEOUT', 'The bytes came too slowly. Please go on.', { offset: session.offset })
}

/** The upload that this very body has become before, in whose favour this one ends; `null`: there is none. */
async function findEarlier(
  lease: Lease,
  { repeats }: Append,
  writer: PartWriter,
  bodyHash: Hash,
  options: Appending,
): Promise<Session | null> {
  const body = { size: writer.position, sha256: bodyHash.digest('base64') }
  const giveUp = async () => {
    await dropBody(lease, writer, options)
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
async function closeUpload(
  lease: Lease,
  writer: PartWriter,
  fileHash: FileHash | null,
  { now, store, sessions, later, by }: Appending,
): Promise<Session> {
  const { session } = lease
  const size = writer.position
  const digests = fileHash?.digests()
  if (digests && !isAsExpected(digests)) {
    await writer.drop()
    await recordOtherFile(lease, by)
  }
  // Nobody else has left anything: then it is known what there is to remove, and the store need not be searched for it.
  const isKnown = !session.isDirty
  const facts = await writer.close()
  if (digests) session.digests = digests
  if (!facts) {
    // Of parts that came by number the session does not know the offset, nor that they have taken the place of first bytes that it
    // still keeps; and the writer had nothing to record.
    const change: Change = { state: 'finishing', size, offset: size, head: null, tail: [], release: true }
    await lease.save({ ...change, ...(digests && { digests }) })
    return session
  }
  await recordCompletion(lease, facts, { now, store, by })
  if (session.isDirty && isKnown) {
    session.isDirty = false
    const removing = store.remove(writer.replaced()).then(() => sessions.markClean(session.id))
    later(removing, { uploadId: session.id, what: 'removing replaced pieces' })
  }
  return session
}

/** What the body brought counts, and the file's length if it said it; unless this throws: then nothing has changed. */
async function agreeWithDigest(
  digest: Digest,
  end: BodyEnd,
  newSize: number | null,
  lease: Lease,
  writer: PartWriter,
  options: Appending,
): Promise<void> {
  try {
    if (!(end !== 'clean' && digest.keepsWhatBrokeOff)) {
      if (end !== 'clean')
        throw new UploadError('CHECKSUM_MISMATCH', 'The body ended before its checksum could be verified.')
      digest.verify()
    }
    if (newSize !== null) await lease.save({ size: newSize })
  } catch (error) {
    await dropBody(lease, writer, options)
    throw error
  }
}

/** Forgets what a refused body brought and no record names yet. */
async function dropBody(lease: Lease, writer: PartWriter, { later, store }: Appending): Promise<void> {
  const pieces = await writer.drop()
  if (pieces.length > 0) later(store.remove(pieces), { uploadId: lease.session.id, what: 'removing refused pieces' })
}

/** Parts as long as the client's chunks leave no tails; only the first body can still decide that. */
function alignedPartSize(
  session: Session,
  { bodySize }: Append,
  size: number,
  { partSizeFor, store }: Appending,
): number {
  if (session.offset > 0 || session.handle !== null || session.isScattered || bodySize === null || bodySize === 0)
    return session.partSize
  return choosePartSize({ size, preferred: partSizeFor(session), limits: store.limits, firstChunkSize: bodySize })
}
