import { z } from 'zod'
import type { ChunkMap } from '../../core/engine.ts'
import type { Upload } from '../../core/upload.ts'
import { countChunks, coverageOf } from './gaps.ts'

const states = ['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'] as const

export const uploadView = z
  .object({
    upload_id: z.string(),
    state: z.enum(states).describe('Only `completed` says that the file is there'),
    file_name: z.string(),
    content_type: z.string(),
    category: z.string(),
    total_size: z.int().nullable().describe('Bytes; null while nobody has told'),
    chunk_size: z.int().describe('Bytes of every chunk but the last'),
    total_chunks: z.int().nullable().describe('How many chunks the file has; null while its length is unknown'),
    key: z.string().describe('The name of the object in the store'),
    failure: z.string().nullable().describe('Why a failed upload failed'),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
    completed_at: z.iso.datetime().nullable(),
    expires_at: z.iso.datetime().nullable().describe('When the upload is given up unless more comes'),
  })
  .describe('One file on its way in, or arrived')

export const begunView = uploadView.extend({
  resume_token: z.string().optional().describe('Good for this upload only and as long as it lives, as a bearer token'),
})

export const chunkView = z.object({
  upload_id: z.string(),
  chunk_index: z.int().describe('From 0'),
  size: z.int().describe('Bytes'),
  etag: z.string().describe('The proof that the chunk is safe; the same as the header ETag, without its quotes'),
})

const gap = z.object({
  offset: z.int().describe('The first missing byte'),
  length: z.int().describe('How many bytes are missing from there'),
  first_chunk: z.int().describe('Index of the first chunk that is missing or not whole'),
  last_chunk: z.int(),
})

export const statusView = uploadView.extend({
  received_bytes: z.int().describe('Bytes that are safe on the server, wherever in the file they belong'),
  offset: z.int().describe('Bytes that are safe without a hole from the start'),
  received_chunks: z.array(z.int()).describe('Indexes of the chunks that are whole'),
  missing_ranges: z.array(gap).describe('What is still to send; empty while the length is unknown'),
  chunks: z
    .array(chunkView.omit({ upload_id: true }))
    .describe('Receipts of the chunks; empty when the upload has ended'),
})

export const cancelledView = z.object({ upload_id: z.string(), state: z.literal('cancelled') })
export const filesView = z.object({ uploads: z.array(uploadView).describe('In the order of the form') })

/** An upload as this dialect shows it. */
export function viewOf(upload: Upload): z.output<typeof uploadView> {
  const { partSize, size } = upload
  return {
    upload_id: upload.id,
    state: upload.state,
    file_name: upload.filename,
    content_type: upload.contentType,
    category: upload.category,
    total_size: size,
    chunk_size: partSize,
    total_chunks: size === null ? null : countChunks(size, partSize),
    key: upload.key,
    failure: upload.failure,
    created_at: upload.createdAt.toISOString(),
    updated_at: upload.updatedAt.toISOString(),
    completed_at: upload.completedAt?.toISOString() ?? null,
    expires_at: upload.expiresAt?.toISOString() ?? null,
  }
}

/** How far an upload is. */
export function statusOf(map: ChunkMap): z.output<typeof statusView> {
  const { upload, chunks } = map
  const { receivedBytes, received, gaps } = coverageOf(map)
  return {
    ...viewOf(upload),
    received_bytes: receivedBytes,
    offset: upload.offset,
    received_chunks: received,
    missing_ranges: gaps,
    chunks: chunks.map(({ number, size, etag }) => ({ chunk_index: number - 1, size, etag: bare(etag) })),
  }
}

/** An ETag without its quotes. */
export function bare(etag: string): string {
  return etag.replaceAll('"', '')
}
