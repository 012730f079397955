import type { ChunkStatus, CompletedView, CreatedView, StatusView } from '../../contract/chunks.ts'
import type { PartList } from '../../core/engine.ts'
import type { Upload, UploadState } from '../../core/upload.ts'
import { countChunks, coverageOf } from './missing-ranges.ts'

/** The view of a new upload. */
export function createdOf(upload: Upload): CreatedView {
  return { ...viewOf(upload, 0), status: 'initiated' }
}

/** The view of a completed upload. */
export function completedOf(upload: Upload): CompletedView {
  return { ...viewOf(upload, upload.offset), status: 'completed', r2_key: upload.key, etag: upload.etag }
}

/** The view of an upload with its progress. */
export function statusOf(list: PartList): StatusView {
  const { upload, parts } = list
  const { receivedBytes, received, missing } = coverageOf(list)
  return {
    ...viewOf(upload, receivedBytes),
    r2_key: upload.state === 'completed' ? upload.key : null,
    chunks_uploaded: received.length,
    received_chunks: received,
    received_bytes: receivedBytes,
    offset: upload.offset,
    missing_ranges: missing,
    chunks: parts.map(({ number, size, etag }) => ({ chunk_index: number - 1, size, etag: unquoteEtag(etag) })),
  }
}

/** An ETag without its quotes. */
export function unquoteEtag(etag: string): string {
  return etag.replaceAll('"', '')
}

function viewOf(upload: Upload, receivedBytes: number) {
  const { partSize, size } = upload
  return {
    upload_id: upload.id,
    status: statusName(upload.state, receivedBytes),
    file_name: upload.filename,
    total_size: size,
    user_id: upload.ownerId,
    user_role: upload.role,
    content_type: upload.contentType,
    category: upload.category,
    chunk_size: partSize,
    total_chunks: size === null ? null : countChunks(size, partSize),
    failure: upload.failure,
    created_at: upload.createdAt.toISOString(),
    updated_at: upload.updatedAt.toISOString(),
    completed_at: upload.completedAt?.toISOString() ?? null,
    expires_at: upload.expiresAt?.toISOString() ?? null,
  }
}

/** While the store completes the file, an upload is still in progress. */
function statusName(state: UploadState, receivedBytes: number): ChunkStatus {
  if (state === 'receiving') return receivedBytes === 0 ? 'initiated' : 'in_progress'
  return state === 'finishing' ? 'in_progress' : state
}
