import { errors } from './errors/errors.ts'
import {
  type UnmeasuredUpload,
  type UnmeasuredView,
  type Upload,
  type UploadRecord,
  withoutPrivateFields,
} from './upload.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether `text` has the form of an upload's id. */
export function isId(text: string): boolean {
  return uuid.test(text)
}

/** Text that is no id names no upload, so the database is not asked. @throws UploadError UPLOAD_NOT_FOUND */
export function assertId(id: string): void {
  if (!isId(id)) throw errors.uploadNotFound()
}

/** @throws UploadError UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST when the upload has ended otherwise than by completion */
export function assertActive(upload: UnmeasuredView, now: Date): void {
  if (upload.state === 'cancelled' && !isConcatenated(upload)) throw errors.uploadCancelled()
  if (upload.state === 'expired' || isOverdue(upload, now)) throw errors.uploadExpired()
  if (upload.state === 'failed') throw failureOf(upload)
}

/** Whether the upload's time is over although no sweeper has ended it yet. */
export function isOverdue({ state, expiresAt }: Pick<Upload, 'state' | 'expiresAt'>, now: Date): boolean {
  return state === 'receiving' && expiresAt !== null && expiresAt <= now
}

function failureOf({ failure }: Pick<Upload, 'failure'>) {
  if (failure === 'digest') return errors.digestFailed({ failure })
  if (failure === 'type') return errors.typeFailed({ failure })
  return errors.uploadLost({ failure })
}

/** The `failure` of a partial upload that ended because its bytes are part of a final upload now. */
export const concatenated = 'concatenated'

/**
 * Whether the upload is a partial one that a completed final upload was made of. A client that did not receive the answer to its final
 * upload asks for the partial ones again and would send the whole file once more if one of them was gone; so they stay complete for it.
 */
export function isConcatenated({ state, failure }: Pick<Upload, 'state' | 'failure'>): boolean {
  return state === 'cancelled' && failure === concatenated
}

/** What protocols see of an upload: the record without what only the engine needs. */
export function toUpload(record: UploadRecord): Upload
export function toUpload(record: UnmeasuredUpload): UnmeasuredView
export function toUpload(record: UnmeasuredUpload): UnmeasuredView {
  const upload = withoutPrivateFields(record)
  return isConcatenated(record) ? { ...upload, state: 'completed', failure: null } : upload
}
