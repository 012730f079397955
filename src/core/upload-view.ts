import { notFound } from './access/access.ts'
import { errors } from './errors/errors.ts'
import type { UploadRepository } from './ports.ts'
import { type StoredPart, tailSize, type Upload, type UploadRecord } from './upload.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether `text` has the form of an upload's id. */
export function isId(text: string): boolean {
  return uuid.test(text)
}

/** What is not an id names nothing; the database need not be asked. @throws UploadError UPLOAD_NOT_FOUND */
export function checkId(id: string): void {
  if (!isId(id)) throw notFound()
}

/** @throws UploadError UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST when the upload has ended in another way than by completion */
export function assertActive(upload: Upload, now: Date): void {
  const expired = upload.state === 'receiving' && upload.expiresAt !== null && upload.expiresAt <= now
  if (upload.state === 'cancelled' && !isConcatenated(upload)) throw errors.uploadCancelled()
  if (upload.state === 'expired' || expired) {
    throw errors.uploadExpired()
  }
  if (upload.state === 'failed') {
    const failure = { digest: errors.digestFailed, type: errors.typeFailed }[upload.failure ?? ''] ?? errors.uploadLost
    throw failure({ failure: upload.failure })
  }
}

/** What is recorded of a partial upload that ended because it is part of a file now. */
export const concatenated = 'joined'

/**
 * Whether it is a partial upload that a file was made of. A client that did not hear that the file is there asks for its partial
 * uploads once more, and would send the whole file again if one of them was gone: to it they stay complete.
 */
export function isConcatenated({ state, failure }: Pick<Upload, 'state' | 'failure'>): boolean {
  return state === 'cancelled' && failure === concatenated
}

/**
 * Where an upload whose parts may have come out of order stands: `offset` up to the first hole, and no tail that a part
 * has replaced. Others are left as they are. Returns the receipts it had to read.
 */
export async function readContiguousOffset(upload: UploadRecord, uploads: UploadRepository): Promise<StoredPart[]> {
  if (!upload.hasNumberedParts || upload.state !== 'receiving') return []
  const parts = await uploads.parts(upload.id)
  let bytes = 0
  let count = 0
  for (const part of parts) {
    if (part.number !== count + 1) break
    bytes += part.size
    count += 1
  }
  applyContiguous(upload, { count, bytes })
  return parts
}

/** The same for many that are only looked at, in one question. */
export async function readContiguousOffsets(all: UploadRecord[], uploads: UploadRepository): Promise<void> {
  const open = all.filter(({ hasNumberedParts, state }) => hasNumberedParts && state === 'receiving')
  if (open.length === 0) return
  const leading = await uploads.leadingParts(open.map(({ id }) => id))
  for (const upload of open) applyContiguous(upload, leading.get(upload.id) ?? { count: 0, bytes: 0 })
}

/** `session` stands where its first `count` parts, of `bytes` bytes together, and a tail that follows just them end. */
function applyContiguous(upload: UploadRecord, { count, bytes }: { count: number; bytes: number }): void {
  const tailNumber = Math.floor((upload.offset - tailSize(upload)) / upload.partSize) + 1
  if (count + 1 !== tailNumber) {
    upload.tail = []
    upload.prefix = null
  }
  upload.offset = bytes + tailSize(upload)
}

/** What the outside sees of a session. */
export function toUpload(session: UploadRecord): Upload {
  const {
    multipartId,
    timeToLiveMs,
    prefix,
    tail,
    hasNumberedParts,
    needsCleanup,
    lossSeenAt,
    deleteDueAt,
    ...upload
  } = session
  return isConcatenated(session) ? { ...upload, state: 'completed', failure: null } : upload
}
