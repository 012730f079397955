import type { OwnUpload } from '../../contract/upload.ts'
import type { Upload } from '../../core/upload.ts'
import { groupingOf } from './grouping.ts'

/** An upload as the JSON API shows it. `url`: its address in tus; `objectUrlOf`: the URL of a completed object for browsers, if any. */
export function viewUpload(upload: Upload, url: string, objectUrlOf: (key: string) => string | null): OwnUpload {
  return {
    id: upload.id,
    url,
    filename: upload.filename,
    contentType: upload.contentType,
    category: upload.category,
    size: upload.size,
    offset: upload.offset,
    state: upload.state,
    live: upload.isBeingWritten ?? false,
    ...groupingOf(upload.metadata),
    failure: upload.failure,
    key: upload.key,
    etag: upload.etag,
    objectUrl: upload.state === 'completed' ? objectUrlOf(upload.key) : null,
    createdAt: upload.createdAt.toISOString(),
    updatedAt: upload.updatedAt.toISOString(),
    completedAt: upload.completedAt?.toISOString() ?? null,
    expiresAt: upload.expiresAt?.toISOString() ?? null,
  }
}
