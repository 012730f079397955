import type { UploadPatch } from '../ports/uploads.ts'
import { type MultipartId, type StoredPart, tailSize, type UploadRecord } from '../upload.ts'
import { type RecordablePart, recordable } from './recordable.ts'

/** What a body has brought to the store so far. */
export interface Progress {
  /** The parts that the row does not name yet, in order. */
  parts: RecordablePart[]
  multipartId: MultipartId | null
  /** The length of the file; `null` while it is unknown. */
  size: number | null
  /** Whether the body has ended, so that it brings no more bytes than these. */
  hasEnded: boolean
}

/** What a save records, and the keys of tail objects that stored parts have replaced. */
export interface ProgressPatch {
  patch: UploadPatch & { parts: StoredPart[]; offset: number }
  replaced: string[]
}

/** What is to be saved of the progress of a body; `null`: nothing new, or nothing that may be recorded yet. */
export function progressPatch(
  upload: Pick<UploadRecord, 'offset' | 'prefix' | 'tail' | 'multipartId' | 'lossSeenAt'>,
  { parts: all, multipartId, size, hasEnded }: Progress,
): ProgressPatch | null {
  const { parts, tail, size: recordedSize, replaced } = recordable(all)
  const offset = upload.offset - tailSize(upload) + recordedSize
  // A body that may still bring more than the file has must not make the upload whole: only its end shows that the last bytes count.
  if (offset === size && !hasEnded) return null
  // The prefix stays in the row until the store has all of it.
  if (upload.prefix !== null && offset < upload.prefix.length) return null
  // Tail objects may have been joined to others.
  const isTailNamed = tail.every(({ key }, at) => upload.tail[at]?.key === key)
  const isUnchanged = parts.length === 0 && offset === upload.offset && isTailNamed
  if (isUnchanged && multipartId === upload.multipartId) return null
  // The store has taken a part, so an earlier observation of a loss was wrong.
  const foundAgain = parts.length > 0 && upload.lossSeenAt ? { lossSeenAt: null } : {}
  return { patch: { parts, tail, offset, multipartId, prefix: null, ...foundAgain }, replaced }
}
