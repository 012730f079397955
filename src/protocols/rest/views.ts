import { z } from 'zod'
import type { PartList } from '../../core/engine.ts'
import type { Upload, UploadState } from '../../core/upload.ts'
import { countChunks, coverageOf } from './missing-ranges.ts'

const statuses = ['initiated', 'in_progress', 'completed', 'cancelled', 'failed', 'expired'] as const

const uploadShape = {
  upload_id: z.string(),
  status: z.enum(statuses).describe('The file is there only when this is `completed`'),
  file_name: z.string(),
  total_size: z.int().nullable().describe('Bytes; null while the length is unknown'),
  user_id: z.string().describe('The user who owns the file'),
  user_role: z.string().describe('The role whose limits apply'),
  content_type: z.string(),
  category: z.string(),
  chunk_size: z.int().describe('Bytes of every chunk but the last'),
  total_chunks: z.int().nullable().describe('The number of chunks; null while the length is unknown'),
  failure: z.string().nullable().describe('Why the upload failed'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  completed_at: z.iso.datetime().nullable(),
  expires_at: z.iso.datetime().nullable().describe('When the upload expires unless the client sends more'),
}

export const createdView = z.object({
  ...uploadShape,
  status: z.literal('initiated'),
  resume_token: z.string().optional().describe('A bearer token for this upload only, valid until the upload ends'),
})

const chunk = {
  chunk_index: z.int().describe('From 0'),
  size: z.int().describe('Bytes'),
  etag: z.string().describe('The same as the header ETag, without its quotes'),
}
export const chunkView = z.object({ upload_id: z.string(), status: z.literal('uploaded'), ...chunk })

export const completedView = z.object({
  ...uploadShape,
  status: z.literal('completed'),
  r2_key: z.string().describe('The name of the object in the store'),
  etag: z.string().nullable().describe('The ETag of the object; the same as the header ETag, without its quotes'),
})

const missingRange = z.object({
  offset: z.int().describe('The first missing byte'),
  length: z.int().describe('The number of missing bytes'),
  first_chunk: z.int().describe('The index of the first chunk that is missing or incomplete'),
  last_chunk: z.int(),
})

export const statusView = z.object({
  ...uploadShape,
  r2_key: z.string().nullable().describe('The name of the object in the store; null until the file is complete'),
  chunks_uploaded: z.int().describe('The number of complete chunks'),
  received_chunks: z.array(z.int()).describe('The indexes of the complete chunks'),
  received_bytes: z.int().describe('Bytes that the server has stored, in any order'),
  offset: z.int().describe('Bytes that the server has stored without a gap from the start'),
  missing_ranges: z
    .array(missingRange)
    .describe('What the client still has to send; empty while the length is unknown'),
  chunks: z.array(z.object(chunk)).describe('The stored chunks; empty after the upload has ended'),
})

export const cancelledView = z.object({ upload_id: z.string(), status: z.literal('cancelled') })

/** The view of a new upload. */
export function createdOf(upload: Upload): z.output<typeof createdView> {
  return { ...viewOf(upload, 0), status: 'initiated' }
}

/** The view of a completed upload. */
export function completedOf(upload: Upload): z.output<typeof completedView> {
  return { ...viewOf(upload, upload.offset), status: 'completed', r2_key: upload.key, etag: upload.etag }
}

/** The view of an upload with its progress. */
export function statusOf(list: PartList): z.output<typeof statusView> {
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
function statusName(state: UploadState, receivedBytes: number): (typeof statuses)[number] {
  if (state === 'receiving') return receivedBytes === 0 ? 'initiated' : 'in_progress'
  return state === 'finishing' ? 'in_progress' : state
}
