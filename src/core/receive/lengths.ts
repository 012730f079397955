import { choosePartSize } from '../create/part-plan.ts'
import { type EngineContext, policyOf } from '../engine-context.ts'
import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { tooLarge } from '../policy/rules/size.ts'
import { actorOfUpload, type StoredPart, type UnmeasuredUpload, type UploadRecord } from '../upload.ts'
import { assertActive } from '../upload-state.ts'
import type { AppendRequest, ListedPart, PartUpload } from './requests.ts'

/**
 * The length of the file that the row and the request together know, or `null`.
 * @throws UploadError LENGTH_MISMATCH when they contradict each other, FILE_TOO_LARGE
 */
export function resolveLength(
  upload: UploadRecord,
  { offset, bodySize, size: stated, ending }: AppendRequest,
): number | null {
  const implied = ending === 'with-body' && bodySize !== null ? offset + bodySize : null
  const size = upload.size ?? stated ?? implied
  if (size === null) return null
  if (size < offset || (stated ?? size) !== size) throw errors.lengthMismatch({ offset: upload.offset, size })
  if (implied !== null && implied > size) throw lengthExceeded(upload, size)
  if (implied !== null && implied < size) throw errors.lengthMismatch({ offset: upload.offset, size })
  if (size > upload.maxSize) throw tooLarge(upload.role, upload.maxSize, size)
  return size
}

/** More bytes arrived than the announced length, or than the role may send. */
export function lengthExceeded(upload: UploadRecord, size: number | null): UploadError {
  if (size === null) return tooLarge(upload.role, upload.maxSize)
  return errors.lengthExceeded({ offset: upload.offset, size, overflow: true })
}

/** Refuses a part that the upload cannot take, before its body is read. @throws UploadError */
export function assertPartAccepted(upload: UnmeasuredUpload, { number, bodySize }: PartUpload, now: Date): void {
  assertActive(upload, now)
  if (upload.state !== 'receiving') throw errors.takesNoMoreBytes()
  if (upload.kind === 'final') throw errors.finalTakesNoBytes()
  const size = sizeOfPart(upload, number)
  if (bodySize !== null && bodySize !== size) throw errors.wrongPartSize({ number, size })
}

/** How many bytes part `number` must have. @throws UploadError INVALID_FIELD when the file has no such part */
export function sizeOfPart({ size, partSize }: Pick<UploadRecord, 'size' | 'partSize'>, number: number): number {
  if (size === null) throw errors.lengthUnknown()
  const last = Math.ceil(size / partSize)
  if (number < 1 || number > last) throw errors.noSuchPart({ number, last })
  return number === last ? size - (last - 1) * partSize : partSize
}

/** Compares the client's list of parts with the stored ones. @throws UploadError INVALID_FIELD when they differ */
export function assertSameParts(listed: ListedPart[], stored: StoredPart[]): void {
  const known = new Map(stored.map((part) => [part.number, part.etag]))
  for (const { number, etag } of listed)
    if (known.get(number)?.replaceAll('"', '') !== etag.replaceAll('"', '')) throw errors.partDiffers({ number })
  const distinct = new Set(listed.map(({ number }) => number)).size
  if (distinct !== stored.length || listed.length !== stored.length)
    throw errors.partCountDiffers({ stored: stored.length, listed: distinct })
}

/** Parts as long as the client's bodies leave no tails; only the first body can still decide that. */
export function alignedPartSize(
  context: EngineContext,
  upload: UploadRecord,
  { bodySize }: AppendRequest,
  size: number,
): number {
  const isFirst = upload.offset === 0 && upload.multipartId === null && upload.kind === 'sequential'
  if (!isFirst || bodySize === null || bodySize === 0) return upload.partSize
  const preferred = policyOf(context, actorOfUpload(upload)).partSize ?? context.settings.partSize
  return choosePartSize({ size, preferred, limits: context.store.limits, firstChunkSize: bodySize })
}
