import { z } from 'zod'
import type { Upload } from '../../core/upload.ts'
import { groupingOf } from './grouping.ts'

export const uploadStates = z.enum(['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'])

export const uploadView = z
  .object({
    id: z.string(),
    url: z.string().describe('The address of the upload in tus'),
    filename: z.string(),
    contentType: z.string(),
    category: z.string(),
    size: z.int().nullable().describe('Bytes; null while the client has not declared it'),
    offset: z.int().describe('Bytes that are durable on the server, without a gap from the start'),
    state: uploadStates.describe('The file is available only when this is `completed`'),
    live: z.boolean().describe('Whether a request is writing to the upload now, from any device and on any server'),
    relativePath: z.string().nullable().describe('The path of the file in an uploaded folder, from the tus metadata'),
    batch: z.string().nullable().describe('The same for all files that were uploaded together, from the tus metadata'),
    failure: z.string().nullable().describe('Why a failed upload failed'),
    key: z.string().describe('The key of the object in the store'),
    etag: z.string().nullable().describe('The ETag of the object, without quotes; null until the upload is completed'),
    objectUrl: z
      .string()
      .nullable()
      .describe('The URL of the completed object for browsers; null unless S3_PUBLIC_URL is set'),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    completedAt: z.iso.datetime().nullable(),
    expiresAt: z.iso.datetime().nullable().describe('When the upload expires unless it receives more bytes'),
  })
  .describe('The upload of one file')

export type UploadView = z.output<typeof uploadView>

/** An upload as the JSON API shows it. `url`: its address in tus; `objectUrlOf`: the URL of a completed object for browsers, if any. */
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
