import type { PartList, UploadedPart } from '../../../src/core/engine.ts'
import { type ErrorCode, isUploadError, type UploadError } from '../../../src/core/errors/error.ts'
import { resolveMediaType } from '../../../src/core/media/resolve.ts'
import type { CreateUpload, Upload } from '../../../src/core/upload.ts'
import { typeOfFirstByte } from '../../support/first-byte.ts'
import type { World } from './world.ts'

/** What its client knows of one upload: the file, what was promised of it, and what it did that may have ended it. */
export interface KnownUpload {
  name: string
  id: string
  file: Buffer
  wish: CreateUpload
  partSize: number
  partials: KnownUpload[]
  /** The highest offset that was told. */
  offset: number
  /** ETags of the chunks that were said to be there. */
  receipts: Map<number, string>
  /** Appends that were begun; on their way. */
  appends: number
  appending: number
  isCompleted: boolean
  /** Said to be over, in another way than by its time. */
  isOver: boolean
  /** Somebody has asked to end it so. */
  isCancelled: boolean
  isExpired: boolean
  /** The final uploads that it may become part of. */
  joinedBy: KnownUpload[]
  /** Bytes of another file were sent, under a digest that refuses them. */
  isSpoiled: boolean
  /** The digest it was announced with is not that of the file. */
  isOtherFile: boolean
}

/** A promise that was not kept. */
export class Violation extends Error {
  override name = 'Violation'
}

/** What an answer may not contradict: taken before the question is asked. */
export function before(known: KnownUpload) {
  const { offset, isCompleted, isOver, appends, appending } = known
  return { offset, isCompleted, isOver, appends, appending, receipts: new Map(known.receipts) }
}
export type Before = ReturnType<typeof before>

/** Parts that came by number give way to bytes that are appended over them: until those are there, less is. */
function isShifting(known: KnownUpload, { appends, appending }: Before): boolean {
  const hasChunks = known.wish.hasNumberedParts === true
  return hasChunks && (appending > 0 || known.appending > 0 || appends !== known.appends)
}

/** Believes what was said of the upload, unless it contradicts what was said before. @throws Violation */
export function checkAgainstModel(known: KnownUpload, upload: Upload, was: Before, world: World): void {
  const isAlive = upload.state === 'receiving' || upload.state === 'finishing'
  if (was.isOver && (isAlive || upload.state === 'completed')) throw new Violation('it was over, and now it is not')
  if (was.isCompleted && isAlive) throw new Violation(`it was completed, and now it is ${upload.state}`)
  if (!isAlive && upload.state !== 'completed') {
    allowEnd(known, upload.state, upload.failure, world)
    return
  }
  if (upload.size !== null && upload.size !== known.file.length)
    throw new Violation(`its size is ${upload.size} and not ${known.file.length}`)
  if (upload.offset > known.file.length) throw new Violation(`there are ${upload.offset} bytes of ${known.file.length}`)
  if (!isShifting(known, was)) {
    if (upload.offset < was.offset)
      throw new Violation(`byte ${was.offset} was acknowledged, and now it is ${upload.offset}`)
    known.offset = Math.max(known.offset, upload.offset)
  }
  if (upload.state !== 'completed') return
  if (upload.offset !== known.file.length) throw new Violation('it is completed and not whole')
  if (known.isOtherFile) throw new Violation('it is completed and not the file that was announced')
  if (mayHaveObject(known, world)) checkObject(known, upload, world)
  known.isCompleted = true
}

/** Whether nobody can have ended it after it was completed. */
export function mayHaveObject({ isCancelled, joinedBy, wish: creation }: KnownUpload, world: World): boolean {
  return !isCancelled && joinedBy.length === 0 && !(creation.concat?.kind === 'partial' && world.hasTravelled())
}

/** @throws Violation when the object is not the very file, or says that it is something else */
export function checkObject(known: KnownUpload, { key, contentType }: Upload, world: World): void {
  const object = world.store.objects.get(key)
  if (!object) throw new Violation('it is completed, and there is no object')
  if (!object.equals(known.file))
    throw new Violation(`the object has other bytes: ${object.length} of ${known.file.length}`)
  if (known.wish.concat?.kind === 'partial') return
  const type = typeOf(known, world)
  if (contentType !== type) throw new Violation(`it is said to be ${contentType} and is ${type}`)
  const said = world.store.metadata.get(key)?.contentType
  // Chunks that came before the first lie under the type that was said, as far as nothing contradicts it.
  const isOpen =
    known.wish.hasNumberedParts === true && [type, known.wish.contentType].includes('application/octet-stream')
  if (said !== type && !(isOpen && said === known.wish.contentType))
    throw new Violation(`the object says that it is ${said} and is ${type}`)
}

/** What the upload must turn out to be. */
export function typeOf({ file, wish: creation }: KnownUpload, world: World): string {
  return world.looks && file.length > 0
    ? resolveMediaType(creation.contentType, typeOfFirstByte(file))
    : creation.contentType
}

/** Chunks that were acknowledged are there. @throws Violation */
export function checkParts(known: KnownUpload, { upload, parts }: PartList, was: Before, world: World): void {
  checkAgainstModel(known, upload, was, world)
  if (upload.state !== 'receiving' && upload.state !== 'finishing') return
  if (isShifting(known, was)) return
  const there = new Map(parts.map(({ number, etag }) => [number, etag]))
  for (const [number, etag] of was.receipts)
    if (there.get(number) !== etag) throw new Violation(`chunk ${number} was acknowledged, and is not there`)
}

export function checkPart(known: KnownUpload, number: number, written: UploadedPart, was: Before): void {
  if (!isShifting(known, was)) known.receipts.set(number, written.etag)
}

const passing: ErrorCode[] = [
  'UPLOAD_LOCKED',
  'STORE_UNAVAILABLE',
  'BODY_TIMEOUT',
  'UPLOAD_COMPLETED',
  'LENGTH_MISMATCH',
]

/** Whether the refusal can be the answer to a client that asked what it asked. @throws Violation */
export function checkError(
  known: KnownUpload,
  error: unknown,
  was: Before,
  world: World,
  expected: ErrorCode[] = [],
): UploadError {
  if (!isUploadError(error)) throw new Violation('this is no refusal', { cause: error })
  const { code, facts } = error
  if (code === 'UPLOAD_GONE' || code === 'UPLOAD_EXPIRED' || code === 'UPLOAD_LOST') {
    const state = ({ UPLOAD_GONE: 'cancelled', UPLOAD_EXPIRED: 'expired', UPLOAD_LOST: 'failed' } as const)[code]
    allowEnd(known, state, typeof facts.failure === 'string' ? facts.failure : null, world)
    return error
  }
  if (code === 'OFFSET_MISMATCH' && !isShifting(known, was) && Number(facts.offset) < was.offset)
    throw new Violation(`byte ${was.offset} was acknowledged, and it is to go on at ${facts.offset}`)
  if (code === 'CHECKSUM_MISMATCH' && known.isOtherFile && facts.isComplete) return error
  if (code === 'TYPE_NOT_ALLOWED' && mayBeRefused(known, world)) return error
  if (code === 'DATABASE_ERROR' && !world.isCalm()) return error
  if (code === 'SHUTTING_DOWN' && world.hasDrained()) return error
  if (code === 'OFFSET_MISMATCH' || passing.includes(code) || expected.includes(code)) return error
  throw new Violation(`${code} is no answer to this`, { cause: error })
}

function mayBeRefused(known: KnownUpload, world: World): boolean {
  if (known.wish.concat?.kind === 'partial') return false
  const type = typeOf(known, world)
  return world.refuses(type) || (known.wish.hasNumberedParts === true && type !== known.wish.contentType)
}

/** Whether the upload can have come to this end. @throws Violation */
function allowEnd(known: KnownUpload, state: Upload['state'], failure: string | null, world: World): void {
  // A final upload is refused as well while one of those it is to be made of is gone, and may be looked at all the same.
  known.isOver ||= state !== 'expired' && known.partials.length === 0
  if (isPossible(known, state, failure, world)) return
  throw new Violation(`it is ${state} (${failure}), and nobody did that`)
}

function isPossible(known: KnownUpload, state: Upload['state'], failure: string | null, world: World): boolean {
  const { partials, isCancelled, joinedBy } = known
  // Of a final upload whose partial ones are gone it is said that they are.
  const lost = partials.filter((partial) => partial.joinedBy.some((final) => final !== known) || partial.isCancelled)
  const expires = (one: KnownUpload) => one.isExpired || world.hasTravelled()
  if (state === 'cancelled') return isCancelled || joinedBy.length > 0 || lost.length > 0
  if (state === 'expired') return [known, ...partials].some(expires)
  if (failure === 'digest') return known.isOtherFile
  if (failure === 'type') return mayBeRefused(known, world)
  // A node that was held up while it sent a part that its digest would have refused wakes when another has recorded the good one,
  // and writes over it. No store can be asked not to: it is found out when the parts are joined, and the file must come again.
  if ([known, ...partials].some((one) => one.isSpoiled) && world.hasPaused()) return true
  return lost.length > 0 || partials.some((partial) => expires(partial) || partial.isOtherFile)
}
