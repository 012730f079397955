/* The bodies of the REST dialect: uploads in numbered chunks. */
import { z } from 'zod'
import { isRole, isUser } from './names.ts'

/** The most parts that a client may list: the most that an S3 multipart upload has. */
export const maxListedParts = 10_000

export const initFields = z.object({
  file_name: z.string().min(1).describe('The name of the file'),
  total_size: z.int().min(0).describe('The size of the whole file in bytes'),
  content_type: z
    .string()
    .nullish()
    .describe('The media type; by default, and if it is not a media type, that of the extension of file_name'),
  category: z
    .string()
    .nullish()
    .describe('image, video, audio, document or other; by default the category of the media type'),
  fingerprint: z
    .string()
    .nullish()
    .describe('Identifies the file to the client, which can find the upload by it on another device'),
  user_id: z
    .union([z.string().refine(isUser, 'expected 1 to 128 printable characters'), z.int().transform(String)])
    .nullish()
    .describe(
      'The user of the token. An administrator, or a service with a key, may name another user and act for them',
    ),
  user_role: z
    .string()
    .refine(isRole, 'expected the name of a role')
    .nullish()
    .describe('The role of the token. An administrator who acts for another user names their role'),
})

const listedPart = z.object({
  chunk_index: z.int().min(0).nullish().describe('As in X-Chunk-Index: from 0'),
  part_number: z.int().min(1).nullish().describe('The same, from 1; one of the two is required'),
  etag: z.string().min(1).max(1024).describe('The ETag in the answer to the chunk, with or without quotes'),
})

export const completeFields = z.object({
  parts: z
    .array(listedPart)
    .max(maxListedParts)
    .nullish()
    .describe('Every chunk that the client sent; the server verifies the list'),
})

export const uploadIdField = z.object({
  upload_id: z.string().min(1).nullish().describe('The upload, unless X-Upload-Id names it'),
})

export const chunkStatuses = ['initiated', 'in_progress', 'completed', 'cancelled', 'failed', 'expired'] as const

const uploadShape = {
  upload_id: z.string(),
  status: z.enum(chunkStatuses).describe('The file is there only when this is `completed`'),
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

export type InitFields = z.output<typeof initFields>
export type CompleteFields = z.output<typeof completeFields>
export type CreatedView = z.output<typeof createdView>
export type CompletedView = z.output<typeof completedView>
export type StatusView = z.output<typeof statusView>
export type ChunkStatus = (typeof chunkStatuses)[number]
