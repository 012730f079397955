import type { AppendRequest } from '../engine.ts'
import { UploadError } from '../errors/error.ts'
import { tooLarge } from '../policy/rules/size.ts'
import type { UploadRecord } from '../upload.ts'

/**
 * The length that the session and the request together know, or `null`.
 * @throws UploadError LENGTH_MISMATCH when they contradict each other, FILE_TOO_LARGE
 */
export function resolveLength(
  upload: UploadRecord,
  { offset, bodySize, size: stated, ending }: AppendRequest,
): number | null {
  const implied = ending === 'with-body' && bodySize !== null ? offset + bodySize : null
  const size = upload.size ?? stated ?? implied
  if (size === null) return null
  if (size < offset || (stated ?? size) !== size) throw lengthMismatch(upload, size)
  if (implied !== null && implied > size) throw lengthExceeded(upload, size)
  if (implied !== null && implied < size) throw lengthMismatch(upload, size)
  if (size > upload.maxSize) throw tooLarge(upload.role, upload.maxSize, size)
  return size
}

/** The upload has all of its bytes, and more came. */
export function takesNoMoreBytes({ offset }: UploadRecord): UploadError {
  return new UploadError('UPLOAD_COMPLETED', 'This upload is complete and takes no more bytes.', { offset })
}

/** The answer to whoever would change a file that has arrived. */
export function alreadyCompleted(): UploadError {
  return new UploadError('UPLOAD_COMPLETED', 'This upload is complete.')
}

/** The refusal that tells the client where to go on. */
export function offsetMismatch(upload: UploadRecord, provided: number): UploadError {
  const { offset } = upload
  return new UploadError('OFFSET_MISMATCH', `The upload goes on at byte ${offset}, not at ${provided}.`, {
    offset,
    provided,
  })
}

/** What the client says of the length, or what its bytes say, does not agree. */
export function lengthMismatch(upload: UploadRecord, size: number | null): UploadError {
  return new UploadError('LENGTH_MISMATCH', 'The lengths that were given for this file do not agree.', {
    offset: upload.offset,
    size,
  })
}

/** More bytes than the length that was declared, or than the role may send. */
export function lengthExceeded(upload: UploadRecord, size: number | null): UploadError {
  if (size === null) return tooLarge(upload.role, upload.maxSize)
  return new UploadError('LENGTH_MISMATCH', 'More bytes came than the length that was declared.', {
    offset: upload.offset,
    size,
    overflow: true,
  })
}

/** Somebody else asked for the upload, and this request let go of it. */
export function takenOver(upload: UploadRecord): UploadError {
  return new UploadError('UPLOAD_LOCKED', 'Another request took this upload over.', { offset: upload.offset })
}

/** The store is still at it; asking again joins the wait. */
export function stillFinishing(): UploadError {
  return new UploadError('STORE_UNAVAILABLE', 'The file is being put together. Please ask again in a moment.')
}

/** This node is about to stop. */
export function shuttingDown(): UploadError {
  return new UploadError('SHUTTING_DOWN', 'The server is restarting. Please try again in a moment.')
}
