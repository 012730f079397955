import type { Append } from '../engine.ts'
import { UploadError } from '../errors.ts'
import { tooLarge } from '../rules/size.ts'
import type { Session } from '../upload.ts'

/**
 * The length that the session and the request together know, or `null`.
 * @throws UploadError LENGTH_MISMATCH when they contradict each other, FILE_TOO_LARGE
 */
export function agreeOnSize(session: Session, { offset, bodySize, size: told, ending }: Append): number | null {
  const implied = ending === 'with-body' && bodySize !== null ? offset + bodySize : null
  const size = session.size ?? told ?? implied
  if (size === null) return null
  if (size < offset || (told ?? size) !== size) throw lengthMismatch(session, size)
  if (implied !== null && implied > size) throw tooManyBytes(session, size)
  if (implied !== null && implied < size) throw lengthMismatch(session, size)
  if (size > session.maxSize) throw tooLarge(session.role, session.maxSize, size)
  return size
}

/** The upload has all of its bytes, and more came. */
export function hasAllBytes({ offset }: Session): UploadError {
  return new UploadError('UPLOAD_COMPLETED', 'This upload is complete and takes no more bytes.', { offset })
}

/** The answer to whoever would change a file that has arrived. */
export function alreadyCompleted(): UploadError {
  return new UploadError('UPLOAD_COMPLETED', 'This upload is complete.')
}

/** The refusal that tells the client where to go on. */
export function offsetMismatch(session: Session, provided: number): UploadError {
  const { offset } = session
  return new UploadError('OFFSET_MISMATCH', `The upload goes on at byte ${offset}, not at ${provided}.`, {
    offset,
    provided,
  })
}

/** What the client says of the length, or what its bytes say, does not agree. */
export function lengthMismatch(session: Session, size: number | null): UploadError {
  return new UploadError('LENGTH_MISMATCH', 'The lengths that were given for this file do not agree.', {
    offset: session.offset,
    size,
  })
}

/** More bytes than the length that was declared, or than the role may send. */
export function tooManyBytes(session: Session, size: number | null): UploadError {
  if (size === null) return tooLarge(session.role, session.maxSize)
  return new UploadError('LENGTH_MISMATCH', 'More bytes came than the length that was declared.', {
    offset: session.offset,
    size,
    overflow: true,
  })
}

/** Somebody else asked for the upload, and this request let go of it. */
export function takenOver(session: Session): UploadError {
  return new UploadError('UPLOAD_LOCKED', 'Another request took this upload over.', { offset: session.offset })
}

/** The store is still at it; asking again joins the wait. */
export function stillFinishing(): UploadError {
  return new UploadError('STORE_UNAVAILABLE', 'The file is being put together. Please ask again in a moment.')
}

/** This node is about to stop. */
export function shuttingDown(): UploadError {
  return new UploadError('SHUTTING_DOWN', 'The server is restarting. Please try again in a moment.')
}
