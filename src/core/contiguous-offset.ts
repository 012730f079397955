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
  if (!hasOpenParts(upload)) return []
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

/**
 * The upload at its first gap, of a row that was read without the lease. The end of an upload removes its parts in the statement that
 * changes its state; between the two reads that would look like an offset of 0. So an upload without parts is read again.
 */
export async function atContiguousOffset(upload: UploadRecord, uploads: UploadRepository): Promise<UploadRecord> {
  const parts = await readContiguousOffset(upload, uploads)
  if (parts.length > 0 || !hasOpenParts(upload)) return upload
  return endedSince(upload, await uploads.find(upload.id))
}

/** The same for a list of uploads, in one query, and a second one for those without a first part. */
export async function atContiguousOffsets(all: UploadRecord[], uploads: UploadRepository): Promise<UploadRecord[]> {
  const open = all.filter(hasOpenParts)
  if (open.length === 0) return all
  const leading = await uploads.leadingParts(open.map(({ id }) => id))
  for (const upload of open) applyContiguous(upload, leading.get(upload.id) ?? { count: 0, bytes: 0 })
  const without = open.filter(({ id }) => !leading.has(id)).map(({ id }) => id)
  if (without.length === 0) return all
  const again = new Map((await uploads.findAll(without)).map((upload) => [upload.id, upload]))
  return all.map((upload) => endedSince(upload, again.get(upload.id) ?? null))
}

function hasOpenParts({ kind, state }: UploadRecord): boolean {
  return kind === 'parted' && state === 'receiving'
}

function endedSince(upload: UploadRecord, again: UploadRecord | null): UploadRecord {
  return again && again.state !== 'receiving' ? again : upload
}

function applyContiguous(upload: UploadRecord, { count, bytes }: { count: number; bytes: number }): void {
  const tailNumber = Math.floor((upload.offset - tailSize(upload)) / upload.partSize) + 1
  if (count + 1 !== tailNumber) {
    upload.tail = []
    upload.prefix = null
  }
  upload.offset = bytes + tailSize(upload)
}
