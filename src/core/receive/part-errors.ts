import type { PartUpload } from '../engine.ts'
import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { StoredPart, UploadRecord } from '../upload.ts'
import { assertActive } from '../upload-view.ts'

/** Says no to a numbered chunk before the body is read. @throws UploadError */
export function assertPartAccepted(upload: UploadRecord, { number, bodySize }: PartUpload, now: Date): void {
  assertActive(upload, now)
  if (upload.state !== 'receiving') throw uploadCompleted()
  if (upload.concat?.kind === 'final') throw errors.finalTakesNoBytes()
  const size = sizeOfPart(upload, number)
  if (bodySize !== null && bodySize !== size) throw wrongPartSize(number, size)
}

/** How many bytes chunk `number` must have. @throws UploadError INVALID_FIELD when there is no such chunk */
export function sizeOfPart({ size, partSize }: UploadRecord, number: number): number {
  if (size === null) throw errors.lengthUnknown()
  const last = Math.ceil(size / partSize)
  if (number < 1 || number > last) throw errors.noSuchPart({ number, last })
  return number === last ? size - (last - 1) * partSize : partSize
}

/** The chunk is shorter or longer than what belongs in its place. */
export function wrongPartSize(number: number, size: number): UploadError {
  return errors.wrongPartSize({ number, size })
}

/** Nothing is missing of the file. */
export function uploadCompleted(): UploadError {
  return errors.takesNoMoreBytes()
}

/** Holds the client's list of chunks against those that are there. @throws UploadError INVALID_FIELD when they differ */
export function compareParts(expected: { number: number; etag: string }[], parts: StoredPart[]): void {
  const known = new Map(parts.map((part) => [part.number, part.etag]))
  for (const { number, etag } of expected) {
    if (known.get(number)?.replaceAll('"', '') !== etag.replaceAll('"', '')) {
      throw errors.partDiffers({ number })
    }
  }
  const said = new Set(expected.map(({ number }) => number)).size
  if (said !== parts.length || expected.length !== parts.length)
    throw errors.partCountDiffers({ stored: parts.length, listed: said })
}
