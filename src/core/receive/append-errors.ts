import type { AppendRequest } from '../engine.ts'
import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
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
  return errors.takesNoMoreBytes({ offset })
}

/** The answer to whoever would change a file that has arrived. */
export function alreadyCompleted(): UploadError {
  return errors.uploadCompleted()
}

/** The refusal that tells the client where to go on. */
export function offsetMismatch(upload: UploadRecord, provided: number): UploadError {
  const { offset } = upload
  return errors.offsetMismatch({ offset, provided })
}

/** What the client says of the length, or what its bytes say, does not agree. */
export function lengthMismatch(upload: UploadRecord, size: number | null): UploadError {
  return errors.lengthMismatch({ offset: upload.offset, size })
}

/** More bytes than the length that was declared, or than the role may send. */
export function lengthExceeded(upload: UploadRecord, size: number | null): UploadError {
  if (size === null) return tooLarge(upload.role, upload.maxSize)
  return errors.lengthExceeded({ offset: upload.offset, size, overflow: true })
}

/** Somebody else asked for the upload, and this request let go of it. */
export function takenOver(upload: UploadRecord): UploadError {
  return errors.takenOver({ offset: upload.offset })
}

/** The store is still at it; asking again joins the wait. */
export function stillFinishing(): UploadError {
  return errors.stillFinishing()
}

/** This node is about to stop. */
export function shuttingDown(): UploadError {
  return errors.shuttingDown()
}
