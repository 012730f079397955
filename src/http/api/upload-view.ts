import { z } from 'zod'
import type { Upload } from '../../core/upload.ts'
import { groupingOf } from './grouping.ts'

export const uploadStates = z.enum(['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'])

export const uploadView = z
  .object({
    id: z.string(),
    url: z.string().describe('The upload itself, for tus'),
    filename: z.string(),
    contentType: z.string(),
    category: z.string(),
    size: z.int().nullable().describe('Bytes; null while the client has not told'),
    offset: z.int().describe('Bytes that are safe on the server without a hole from the start'),
    state: uploadStates.describe('Only `completed` says that the file is there'),
    live: z.boolean().describe('Whether a request is writing to it right now, from any device and to any server'),
    relativePath: z.string().nullable().describe('Where the file was in a folder, as the client said with tus'),
    batch: z.string().nullable().describe('Files that a client sent together have the same; as it said with tus'),
    failure: z.string().nullable().describe('Why a failed upload failed'),
    key: z.string().describe('The name of the object in the store'),
    etag: z.string().nullable().describe('The ETag of the object, without quotes; null until the file is there'),
    objectUrl: z.string().nullable().describe('Where browsers reach the finished object, if S3_PUBLIC_URL says so'),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    completedAt: z.iso.datetime().nullable(),
    expiresAt: z.iso.datetime().nullable().describe('When the upload is given up unless more comes'),
  })
  .describe('One file on its way in, or arrived')

export type UploadView = z.output<typeof uploadView>

/** An upload as the JSON API shows it. `url`: its address in tus; `objectUrlOf`: where browsers reach a finished object, if anywhere. */
export function viewUpload(upload: Upload, url: string, objectUrlOf: (key: string) => string | null): UploadView {
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
