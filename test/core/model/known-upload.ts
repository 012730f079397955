import type { PartList, UploadedPart } from '../../../src/core/engine.ts'
import { type ErrorCode, isUploadError, type UploadError } from '../../../src/core/errors/error.ts'
import { resolveMediaType } from '../../../src/core/media/resolve.ts'
import type { CreateUpload, Upload } from '../../../src/core/upload.ts'
import { typeOfFirstByte } from '../../support/first-byte.ts'
import type { World } from './world.ts'

/** The model of one upload: its file, what the server acknowledged, and the requests that may have ended it. */
export interface KnownUpload {
  name: string
  id: string
  file: Buffer
  creation: CreateUpload
  partSize: number
  partials: KnownUpload[]
  /** The highest offset that was acknowledged. */
  offset: number
  /** ETags of the parts that were acknowledged. */
  receipts: Map<number, string>
  /** Appends that were sent. */
  appends: number
  /** Appends that have not been answered. */
  appending: number
  isCompleted: boolean
  /** The server has answered that it ended in another way than by expiry. */
  isOver: boolean
  /** A request to cancel it was sent. */
  isCancelled: boolean
  /** A request to expire it was sent. */
  isExpired: boolean
  /** The final uploads that name it. */
  finals: KnownUpload[]
  /** Bytes of another file were sent, with a checksum that does not match them. */
  isCorrupted: boolean
  /** It was created with the digest of another file. */
  isOtherFile: boolean
}

/** A promise that was not kept. */
export class Violation extends Error {
  override name = 'Violation'
}

/** What an answer must not contradict: a copy of the model, taken before the request is sent. */
export function snapshot(known: KnownUpload) {
  const { offset, isCompleted, isOver, appends, appending } = known
  return { offset, isCompleted, isOver, appends, appending, receipts: new Map(known.receipts) }
}
export type Snapshot = ReturnType<typeof snapshot>

/** Bytes that are appended replace the numbered parts after them: while an append is under way, the offset may go down. */
function isOverwriting(known: KnownUpload, { appends, appending }: Snapshot): boolean {
  const isParted = known.creation.kind === 'parted'
  return isParted && (appending > 0 || known.appending > 0 || appends !== known.appends)
}

/** Updates the model with an answer about the upload. @throws Violation when the answer contradicts an earlier one */
export function checkAgainstModel(known: KnownUpload, upload: Upload, was: Snapshot, world: World): void {
  const isAlive = upload.state === 'receiving' || upload.state === 'finishing'
  if (was.isOver && (isAlive || upload.state === 'completed'))
    throw new Violation('it had ended, and is now open or completed')
  if (was.isCompleted && isAlive) throw new Violation(`it was completed, and is now ${upload.state}`)
  if (!isAlive && upload.state !== 'completed') {
    allowEnd(known, upload.state, upload.failure, world)
    return
  }
  if (upload.size !== null && upload.size !== known.file.length)
    throw new Violation(`its size is ${upload.size} and not ${known.file.length}`)
  if (upload.offset > known.file.length) throw new Violation(`there are ${upload.offset} bytes of ${known.file.length}`)
  if (!isOverwriting(known, was)) {
    if (upload.offset < was.offset)
      throw new Violation(`offset ${was.offset} was acknowledged, and is now ${upload.offset}`)
    known.offset = Math.max(known.offset, upload.offset)
  }
  if (upload.state !== 'completed') return
  if (upload.offset !== known.file.length) throw new Violation('it is completed, and bytes are missing')
  if (known.isOtherFile) throw new Violation('it is completed, although its digest does not match')
  if (mayHaveObject(known, world)) checkObject(known, upload, world)
  known.isCompleted = true
}

/** Whether no request and no expiry can have deleted its object after it was completed. */
export function mayHaveObject({ isCancelled, finals, creation }: KnownUpload, world: World): boolean {
  return !isCancelled && finals.length === 0 && !(creation.isPartial && world.hasClockAdvanced())
}

/** @throws Violation when the object differs from the file or has another content type */
export function checkObject(known: KnownUpload, { key, contentType }: Upload, world: World): void {
  const object = world.store.objects.get(key)
  if (!object) throw new Violation('it is completed, and there is no object')
  if (!object.equals(known.file))
    throw new Violation(`the object differs from the file: ${object.length} bytes of ${known.file.length}`)
  if (known.creation.isPartial) return
  const type = typeOf(known, world)
  const declared = known.creation.contentType
  // The multipart upload of parts that arrived before the first one has the declared type, unless a policy contradicts it.
  const mayKeepDeclared = known.creation.kind === 'parted' && [type, declared].includes('application/octet-stream')
  const allowed = mayKeepDeclared ? [type, declared] : [type]
  if (!allowed.includes(contentType)) throw new Violation(`its content type is ${contentType}, not ${type}`)
  const stored = world.store.metadata.get(key)?.contentType ?? ''
  if (!allowed.includes(stored)) throw new Violation(`the content type of the object is ${stored}, not ${type}`)
}

/** The content type that the upload must have in the end. */
export function typeOf({ file, creation }: KnownUpload, world: World): string {
  return world.checksContent && file.length > 0
    ? resolveMediaType(creation.contentType, typeOfFirstByte(file))
    : creation.contentType
}

/** Checks that the acknowledged parts are listed. @throws Violation */
export function checkParts(known: KnownUpload, { upload, parts }: PartList, was: Snapshot, world: World): void {
  checkAgainstModel(known, upload, was, world)
  if (upload.state !== 'receiving' && upload.state !== 'finishing') return
  if (isOverwriting(known, was)) return
  const listed = new Map(parts.map(({ number, etag }) => [number, etag]))
  for (const [number, etag] of was.receipts)
    if (listed.get(number) !== etag) throw new Violation(`part ${number} was acknowledged, and is not listed`)
}

export function checkPart(known: KnownUpload, number: number, written: UploadedPart, was: Snapshot): void {
  if (!isOverwriting(known, was)) known.receipts.set(number, written.etag)
}

const transient: ErrorCode[] = [
  'UPLOAD_LOCKED',
  'STORE_UNAVAILABLE',
  'BODY_TIMEOUT',
  'UPLOAD_COMPLETED',
  'LENGTH_MISMATCH',
]

/** Checks that the error is one that the request can have. @throws Violation */
export function checkError(
  known: KnownUpload,
  error: unknown,
  was: Snapshot,
  world: World,
  expected: ErrorCode[] = [],
): UploadError {
  if (!isUploadError(error)) throw new Violation('an error outside the error table', { cause: error })
  const { code, facts } = error
  if (code === 'UPLOAD_GONE' || code === 'UPLOAD_EXPIRED' || code === 'UPLOAD_LOST') {
    const state = ({ UPLOAD_GONE: 'cancelled', UPLOAD_EXPIRED: 'expired', UPLOAD_LOST: 'failed' } as const)[code]
    allowEnd(known, state, typeof facts.failure === 'string' ? facts.failure : null, world)
    return error
  }
  if (code === 'OFFSET_MISMATCH' && !isOverwriting(known, was) && Number(facts.offset) < was.offset)
    throw new Violation(`offset ${was.offset} was acknowledged, and the error says ${facts.offset}`)
  if (code === 'CHECKSUM_MISMATCH' && known.isOtherFile && facts.isComplete) return error
  if (code === 'TYPE_NOT_ALLOWED' && mayBeRejected(known, world)) return error
  if (code === 'DATABASE_ERROR' && !world.isFaultFree()) return error
  if (code === 'SHUTTING_DOWN' && world.hasDrained()) return error
  if (code === 'OFFSET_MISMATCH' || transient.includes(code) || expected.includes(code)) return error
  throw new Violation(`${code} is not an error that this request can have`, { cause: error })
}

function mayBeRejected(known: KnownUpload, world: World): boolean {
  if (known.creation.isPartial) return false
  const type = typeOf(known, world)
  return world.rejectsType(type) || (known.creation.kind === 'parted' && type !== known.creation.contentType)
}

/** Checks that something in the model explains this end. @throws Violation */
function allowEnd(known: KnownUpload, state: Upload['state'], failure: string | null, world: World): void {
  // A final upload whose partial ones are gone answers appends with their error and can still be read: it has not ended.
  known.isOver ||= state !== 'expired' && known.partials.length === 0
  if (isPossible(known, state, failure, world)) return
  throw new Violation(`it is ${state} (${failure}), and no request explains that`)
}

function isPossible(known: KnownUpload, state: Upload['state'], failure: string | null, world: World): boolean {
  const { partials, isCancelled, finals } = known
  // A final upload answers with the error of its partial uploads once they are gone.
  const lost = partials.filter((partial) => partial.finals.some((final) => final !== known) || partial.isCancelled)
  const mayHaveExpired = (upload: KnownUpload) => upload.isExpired || world.hasClockAdvanced()
  if (state === 'cancelled') return isCancelled || finals.length > 0 || lost.length > 0
  if (state === 'expired') return [known, ...partials].some(mayHaveExpired)
  if (failure === 'digest') return known.isOtherFile
  if (failure === 'type') return mayBeRejected(known, world)
  // A node that is paused while it writes a part with a wrong checksum may continue after another node has recorded the right part, and
  // overwrites it. S3 has no conditional UploadPart: completing the multipart upload finds the difference, and the upload fails.
  if ([known, ...partials].some((upload) => upload.isCorrupted) && world.hasPaused()) return true
  return lost.length > 0 || partials.some((partial) => mayHaveExpired(partial) || partial.isOtherFile)
}
