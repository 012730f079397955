import type { OwnUpload, UploadParts } from '../../contract/upload.ts'
import type { PartList } from '../../core/engine.ts'
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
    crc32: upload.crc32,
    objectUrl: upload.state === 'completed' ? objectUrlOf(upload.key) : null,
    createdAt: upload.createdAt.toISOString(),
    updatedAt: upload.updatedAt.toISOString(),
    completedAt: upload.completedAt?.toISOString() ?? null,
    expiresAt: upload.expiresAt?.toISOString() ?? null,
  }
}

/** The stored parts of an upload as the JSON API shows them. Every part but the last has the part size of the upload. */
export function viewParts({ upload, parts }: PartList): UploadParts {
  return {
    parts: parts.map(({ number, size, etag, crc32 }) => {
      return { number, offset: (number - 1) * upload.partSize, size, etag, crc32 }
    }),
  }
}
