import { z } from 'zod'
import type { PartList } from '../../core/engine.ts'
import type { Upload, UploadState } from '../../core/upload.ts'
import { countChunks, coverageOf } from './missing-ranges.ts'

const statuses = ['initiated', 'in_progress', 'completed', 'cancelled', 'failed', 'expired'] as const

const uploadShape = {
  upload_id: z.string(),
  status: z.enum(statuses).describe('Only `completed` says that the file is there'),
  file_name: z.string(),
  total_size: z.int().nullable().describe('Bytes; null while the client has not told'),
  user_id: z.string().describe('Whose file it is'),
  user_role: z.string().describe('The role whose limits hold for it'),
  content_type: z.string(),
  category: z.string(),
  chunk_size: z.int().describe('Bytes of every chunk but the last'),
  total_chunks: z.int().nullable().describe('How many chunks the file has; null while its length is unknown'),
  failure: z.string().nullable().describe('Why a failed upload failed'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
  completed_at: z.iso.datetime().nullable(),
  expires_at: z.iso.datetime().nullable().describe('When the upload is given up unless more comes'),
}

export const createdView = z.object({
  ...uploadShape,
  status: z.literal('initiated'),
  resume_token: z.string().optional().describe('Good for this upload only and as long as it lives, as a bearer token'),
})

const chunk = {
  chunk_index: z.int().describe('From 0'),
  size: z.int().describe('Bytes'),
  etag: z.string().describe('The proof that the chunk is safe; the same as the header ETag, without its quotes'),
}
export const chunkView = z.object({ upload_id: z.string(), status: z.literal('uploaded'), ...chunk })

export const completedView = z.object({
  ...uploadShape,
  status: z.literal('completed'),
  r2_key: z.string().describe('The name of the object in the store'),
  etag: z.string().nullable().describe('The ETag of the object; the same as the header ETag, without its quotes'),
})

const gap = z.object({
  offset: z.int().describe('The first missing byte'),
  length: z.int().describe('How many bytes are missing from there'),
  first_chunk: z.int().describe('Index of the first chunk that is missing or not whole'),
  last_chunk: z.int(),
})

export const statusView = z.object({
  ...uploadShape,
  r2_key: z.string().nullable().describe('The name of the object in the store; null until the file is there'),
  chunks_uploaded: z.int().describe('How many chunks are whole'),
  received_chunks: z.array(z.int()).describe('The indexes of these chunks'),
  received_bytes: z.int().describe('Bytes that are safe on the server, wherever in the file they belong'),
  offset: z.int().describe('Bytes that are safe without a hole from the start'),
  missing_ranges: z.array(gap).describe('What is still to send; empty while the length is unknown'),
  chunks: z.array(z.object(chunk)).describe('Receipts of the chunks; empty when the upload has ended'),
})

export const cancelledView = z.object({ upload_id: z.string(), status: z.literal('cancelled') })

/** An upload that has just begun, as this dialect shows it. */
export function createdOf(upload: Upload): z.output<typeof createdView> {
  return { ...viewOf(upload, 0), status: 'initiated' }
}

/** An upload whose file is there. */
export function completedOf(upload: Upload): z.output<typeof completedView> {
  return { ...viewOf(upload, upload.offset), status: 'completed', r2_key: upload.key, etag: upload.etag }
}

/** How far an upload is. */
export function statusOf(map: PartList): z.output<typeof statusView> {
  const { upload, parts } = map
  const { receivedBytes, received, missing } = coverageOf(map)
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
    status: statusWord(upload.state, receivedBytes),
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

/** A file that is being put together is not there yet, whatever has come of it. */
function statusWord(state: UploadState, receivedBytes: number): (typeof statuses)[number] {
  if (state === 'receiving') return receivedBytes === 0 ? 'initiated' : 'in_progress'
  return state === 'finishing' ? 'in_progress' : state
}
