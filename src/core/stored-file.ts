import type { ContentState } from './content.ts'
import { errors } from './errors/errors.ts'
import type { UnmeasuredUpload } from './upload.ts'

/** A file as it is recorded: its node and its content. */
export interface StoredFile {
  /** The id of the node. */
  id: string
  contentId: string
  name: string
  /** The object key. */
  key: string
  size: number
  contentType: string
  sha256: Uint8Array | null
  /** When the content was made; contents never change. */
  createdAt: Date
  state: ContentState
  isTrashed: boolean
  /** Grows when the links of the file are revoked: a link names the epoch in which it was made. */
  linkEpoch: number
}

/** An upload, and its file; `null`: it is not complete, or no file. */
export interface UploadedFile {
  upload: UnmeasuredUpload
  file: StoredFile | null
}

/**
 * Every way to the bytes of a file passes here.
 * @throws UploadError UPLOAD_GONE of a deleted file, FILE_HELD before its checks have passed, FILE_QUARANTINED after one refused it
 */
export function assertReadable({ isTrashed, state }: StoredFile): void {
  if (isTrashed || state === 'gone') throw errors.fileDeleted()
  if (state === 'held') throw errors.fileHeld({ retryAfter: 5 })
  if (state === 'quarantined') throw errors.fileQuarantined()
}
