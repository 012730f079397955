import { z } from 'zod'

export const uploadState = z.enum(['receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed'])

const crc32 = z.int().min(0).max(0xffff_ffff).nullable()

/** An upload in the answers to its owner. */
export const ownUpload = z
  .object({
    id: z.string(),
    url: z.string().describe('The address of the upload in tus'),
    filename: z.string(),
    contentType: z.string(),
    category: z.string(),
    size: z.int().nullable().describe('Bytes; null while the client has not declared it'),
    offset: z.int().describe('Bytes that are durable on the server, without a gap from the start'),
    state: uploadState.describe('The file is available only when this is `completed`'),
    live: z.boolean().describe('Whether a request is writing to the upload now, from any device and on any server'),
    relativePath: z.string().nullable().describe('The path of the file in an uploaded folder, from the tus metadata'),
    batch: z.string().nullable().describe('The same for all files that were uploaded together, from the tus metadata'),
    failure: z.string().nullable().describe('Why a failed upload failed'),
    key: z.string().describe('The key of the object in the store'),
    etag: z.string().nullable().describe('The ETag of the object, without quotes; null until the upload is completed'),
    crc32: crc32.describe(
      'The CRC-32 of the file, as zlib and zip compute it; null until every byte is stored, and where the store does not tell that of every part',
    ),
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

export const ownUploads = z.object({
  uploads: z.array(ownUpload),
  next: z.string().nullable().describe('The value of `before` for the next page; null on the last page'),
})

/** The stored parts of an upload. */
export const uploadParts = z
  .object({
    parts: z.array(
      z.object({
        number: z.int().describe('From 1'),
        offset: z.int().describe('Where the part begins in the file, in bytes'),
        size: z.int().describe('Bytes'),
        etag: z.string().describe('The ETag of the part in the store, without quotes'),
        crc32: crc32.describe(
          'The CRC-32 of the part, as zlib and zip compute it; null where the store does not tell it',
        ),
      }),
    ),
  })
  .describe(
    'The parts of the file that the store has, by number. Bytes before `offset` of the upload that are in no part yet are stored too. The parts of a completed upload are one object and not listed any more',
  )

const fingerprint = z.string().min(1).max(1024)

export const ownUploadsQuery = z.object({
  limit: z.int().min(1).max(100).default(50).describe('Maximum number of uploads'),
  before: z.uuid().optional().describe('The id of the last upload of the previous page'),
  fingerprint: fingerprint.optional().describe('Only uploads with this fingerprint'),
  state: uploadState.optional().describe('Only uploads in this state; `receiving`: those that can be resumed'),
})

export const setFingerprint = z.object({ fingerprint: fingerprint.nullable() })

/** The path parameter of routes about one upload. */
export const byUploadId = z.object({ id: z.string().min(1).max(128) })

/** The uploads that one form has created. */
export const formUploads = z.object({ uploads: z.array(ownUpload).describe('The files, in the order of the form') })

export type UploadState = z.output<typeof uploadState>
export type OwnUpload = z.output<typeof ownUpload>
export type UploadParts = z.output<typeof uploadParts>
export type OwnUploads = z.output<typeof ownUploads>
export type OwnUploadsQuery = z.output<typeof ownUploadsQuery>
export type SetFingerprint = z.output<typeof setFingerprint>
export type ByUploadId = z.output<typeof byUploadId>
