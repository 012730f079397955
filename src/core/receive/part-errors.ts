import type { PartUpload } from '../engine.ts'
import { UploadError } from '../errors/error.ts'
import type { StoredPart, UploadRecord } from '../upload.ts'
import { assertActive } from '../upload-view.ts'

/** Says no to a numbered chunk before the body is read. @throws UploadError */
export function assertPartAccepted(upload: UploadRecord, { number, bodySize }: PartUpload, now: Date): void {
  assertActive(upload, now)
  if (upload.state !== 'receiving') throw uploadCompleted()
  if (upload.concat?.kind === 'final')
    throw new UploadError('FORBIDDEN', 'This upload is made of others and takes no bytes of its own.')
  const size = sizeOfPart(upload, number)
  if (bodySize !== null && bodySize !== size) throw wrongPartSize(number, size)
}

/** How many bytes chunk `number` must have. @throws UploadError INVALID_FIELD when there is no such chunk */
export function sizeOfPart({ size, partSize }: UploadRecord, number: number): number {
  if (size === null) throw new UploadError('LENGTH_MISMATCH', 'Chunks by number need a file whose length is known.')
  const last = Math.ceil(size / partSize)
  if (number < 1 || number > last)
    throw new UploadError('INVALID_FIELD', `There is no such chunk: the file has ${last}.`, { number, last })
  return number === last ? size - (last - 1) * partSize : partSize
}

/** The chunk is shorter or longer than what belongs in its place. */
export function wrongPartSize(number: number, size: number): UploadError {
  return new UploadError('LENGTH_MISMATCH', `This chunk must have exactly ${size} bytes.`, { number, size })
}

/** Nothing is missing of the file. */
export function uploadCompleted(): UploadError {
  return new UploadError('UPLOAD_COMPLETED', 'This upload is complete and takes no more bytes.')
}

/** Holds the client's list of chunks against those that are there. @throws UploadError INVALID_FIELD when they differ */
export function compareParts(expected: { number: number; etag: string }[], parts: StoredPart[]): void {
  const known = new Map(parts.map((part) => [part.number, part.etag]))
  for (const { number, etag } of expected) {
    if (known.get(number)?.replaceAll('"', '') !== etag.replaceAll('"', '')) {
      throw new UploadError('INVALID_FIELD', `Chunk ${number} is not the one that was sent.`, { number })
    }
  }
  const said = new Set(expected.map(({ number }) => number)).size
  if (said !== parts.length || expected.length !== parts.length)
    throw new UploadError('INVALID_FIELD', `There are ${parts.length} chunks, not ${said}.`)
}
