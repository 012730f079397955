import type { NumberedChunk } from '../engine.ts'
import { UploadError } from '../errors.ts'
import { refuseEnded } from '../session-view.ts'
import type { PartReceipt, Session } from '../upload.ts'

/** Says no to a numbered chunk before the body is read. @throws UploadError */
export function refuseChunk(session: Session, { number, bodySize }: NumberedChunk, now: Date): void {
  refuseEnded(session, now)
  if (session.state !== 'receiving') throw completed()
  if (session.concat?.kind === 'final')
    throw new UploadError('FORBIDDEN', 'This upload is made of others and takes no bytes of its own.')
  const size = sizeOfChunk(session, number)
  if (bodySize !== null && bodySize !== size) throw wrongChunkSize(number, size)
}

/** How many bytes chunk `number` must have. @throws UploadError INVALID_FIELD when there is no such chunk */
export function sizeOfChunk({ size, partSize }: Session, number: number): number {
  if (size === null) throw new UploadError('LENGTH_MISMATCH', 'Chunks by number need a file whose length is known.')
  const last = Math.ceil(size / partSize)
  if (number < 1 || number > last)
    throw new UploadError('INVALID_FIELD', `There is no such chunk: the file has ${last}.`, { number, last })
  return number === last ? size - (last - 1) * partSize : partSize
}

/** The chunk is shorter or longer than what belongs in its place. */
export function wrongChunkSize(number: number, size: number): UploadError {
  return new UploadError('LENGTH_MISMATCH', `This chunk must have exactly ${size} bytes.`, { number, size })
}

/** Nothing is missing of the file. */
export function completed(): UploadError {
  return new UploadError('UPLOAD_COMPLETED', 'This upload is complete and takes no more bytes.')
}

/** Holds the client's list of chunks against those that are there. @throws UploadError INVALID_FIELD when they differ */
export function compareChunks(expected: { number: number; etag: string }[], parts: PartReceipt[]): void {
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
