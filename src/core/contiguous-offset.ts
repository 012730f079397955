/*
 * The offset of an upload whose parts may arrive in any order. Its row does not count them: `offset` is what parts without a gap from
 * the first one, and a tail that follows exactly those, add up to.
 */
import type { UploadRepository } from './ports/uploads.ts'
import { type StoredPart, tailSize, type UploadRecord } from './upload.ts'

/**
 * Sets `upload.offset` to the first gap, and drops a tail that a stored part has replaced. Uploads whose parts arrive in order are left
 * as they are. Returns the parts that had to be read.
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

/** The same for a list of uploads, in one query. */
export async function readContiguousOffsets(all: UploadRecord[], uploads: UploadRepository): Promise<void> {
  const open = all.filter(({ hasNumberedParts, state }) => hasNumberedParts && state === 'receiving')
  if (open.length === 0) return
  const leading = await uploads.leadingParts(open.map(({ id }) => id))
  for (const upload of open) applyContiguous(upload, leading.get(upload.id) ?? { count: 0, bytes: 0 })
}

function applyContiguous(upload: UploadRecord, { count, bytes }: { count: number; bytes: number }): void {
  const tailNumber = Math.floor((upload.offset - tailSize(upload)) / upload.partSize) + 1
  if (count + 1 !== tailNumber) {
    upload.tail = []
    upload.prefix = null
  }
  upload.offset = bytes + tailSize(upload)
}
