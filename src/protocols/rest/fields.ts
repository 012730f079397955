import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { errors } from '../../core/errors/errors.ts'
import { isRole, isUser } from '../../http/identity/claims.ts'

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

export type CompleteFields = z.output<typeof completeFields>

/**
 * The fields of a JSON body. An absent body has no fields.
 * @throws UploadError MISSING_FIELD, INVALID_FIELD, which names the first field that is wrong
 */
export function readFields<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body ?? {})
  if (result.success) return result.data
  const { path, message } = result.error.issues[0]!
  const field = path.join('.')
  if (field === '') throw errors.bodyNotObject()
  if (valueAt(body, path) === undefined) throw errors.jsonFieldMissing({ field })
  throw errors.jsonFieldInvalid({ field, reason: message })
}

/** The user that a body names, for `actAs`. */
export function namedUser({ user_id, user_role }: z.output<typeof initFields>): { user?: string; role?: string } {
  return { ...(user_id != null && { user: user_id }), ...(user_role != null && { role: user_role }) }
}

/** The part number of the chunk in a request: its index plus one. @throws UploadError MISSING_FIELD, INVALID_FIELD */
export function partNumberOf(headers: IncomingHttpHeaders): number {
  const index = headers['x-chunk-index']
  if (index === undefined) throw errors.chunkIndexMissing()
  if (!/^\d{1,9}$/.test(String(index))) throw errors.chunkIndexInvalid()
  return Number(index) + 1
}

/** The client's list of the parts that it sent, by part number. @throws UploadError MISSING_FIELD, INVALID_FIELD */
export function listedParts({ parts }: CompleteFields): { number: number; etag: string }[] | undefined {
  return parts?.map(({ chunk_index, part_number, etag }, index) => {
    const number = part_number ?? (chunk_index ?? -1) + 1
    if (number === 0) throw errors.jsonFieldMissing({ field: `parts.${index}.chunk_index` })
    if (number !== (chunk_index ?? number - 1) + 1) throw errors.chunkNamedTwice({ field: `parts.${index}` })
    return { number, etag }
  })
}

/**
 * The upload that a request is about, named by `X-Upload-Id`, by the field `upload_id`, or by the URL (`inPath`). All that are given must
 * agree.
 * @throws UploadError MISSING_FIELD, INVALID_FIELD
 */
export function uploadIdOf(
  headers: IncomingHttpHeaders,
  { body, inPath }: { body?: unknown; inPath?: string },
): string {
  const field = body == null ? undefined : readFields(uploadIdField, body).upload_id
  const named = [inPath, headers['x-upload-id']?.toString(), field ?? undefined].filter((id) => id !== undefined)
  const [id] = named
  if (id === undefined) throw errors.uploadIdMissing()
  if (named.some((other) => other !== id)) throw errors.uploadIdsDiffer()
  return id
}

function valueAt(value: unknown, path: PropertyKey[]): unknown {
  let current = value
  for (const key of path)
    current =
      typeof current === 'object' && current !== null ? (current as Record<PropertyKey, unknown>)[key] : undefined
  return current
}
