import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { UploadError } from '../../core/errors/error.ts'
import { isRole, isUser } from '../../http/identity/claims.ts'

/** Chunks that a client's own list may have; as many as S3 has parts. */
export const maxListed = 10_000

export const initFields = z.object({
  file_name: z.string().min(1).describe('The name of the file, as people see it'),
  total_size: z.int().min(0).describe('Bytes of the whole file'),
  content_type: z
    .string()
    .nullish()
    .describe('Media type; by default, and when it is none, what the ending of the file name says'),
  category: z
    .string()
    .nullish()
    .describe('image, video, audio, document or other; by default what the media type says'),
  fingerprint: z.string().nullish().describe('What the client knows the file by, to find the upload on another device'),
  user_id: z
    .union([z.string().refine(isUser, 'expected 1 to 128 printable characters'), z.int().transform(String)])
    .nullish()
    .describe(
      'The user of the token. An administrator, or a service with a key, may name another one and act for them',
    ),
  user_role: z
    .string()
    .refine(isRole, 'expected the name of a role')
    .nullish()
    .describe('The role of the token. An administrator who acts for another user names their role'),
})

const sentChunk = z.object({
  chunk_index: z.int().min(0).nullish().describe('As in X-Chunk-Index: from 0'),
  part_number: z.int().min(1).nullish().describe('The same, from 1; one of the two is needed'),
  etag: z.string().min(1).max(1024).describe('As the answer to the chunk said it, with or without quotes'),
})

export const completeFields = z.object({
  parts: z.array(sentChunk).max(maxListed).nullish().describe('Every chunk that was sent; verified when it is given'),
})

export const namedUpload = z.object({
  upload_id: z.string().min(1).nullish().describe('The upload, unless X-Upload-Id says it'),
})

export type CompleteFields = z.output<typeof completeFields>

/**
 * The fields of a JSON body. An absent body has no fields.
 * @throws UploadError MISSING_FIELD, INVALID_FIELD, each naming the first field that is wrong
 */
export function readFields<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body ?? {})
  if (result.success) return result.data
  const { path, message } = result.error.issues[0]!
  const name = path.join('.')
  if (name === '') throw new UploadError('INVALID_FIELD', 'The body must be a JSON object.')
  if (valueAt(body, path) === undefined) throw new UploadError('MISSING_FIELD', `The field ${name} is missing.`)
  throw new UploadError('INVALID_FIELD', `The field ${name} is not valid: ${message}.`)
}

/** The user that a body names, as `actAs` reads it. */
export function namedUser({ user_id, user_role }: z.output<typeof initFields>): { user?: string; role?: string } {
  return { ...(user_id != null && { user: user_id }), ...(user_role != null && { role: user_role }) }
}

/** The number of the chunk that a request brings: one more than its index. @throws UploadError MISSING_FIELD, INVALID_FIELD */
export function chunkNumberOf(headers: IncomingHttpHeaders): number {
  const said = headers['x-chunk-index']
  if (said === undefined) throw new UploadError('MISSING_FIELD', 'The header X-Chunk-Index is missing.')
  if (!/^\d{1,9}$/.test(String(said))) {
    throw new UploadError('INVALID_FIELD', 'X-Chunk-Index must be a whole number, 0 for the first chunk.')
  }
  return Number(said) + 1
}

/** The client's own list of chunks, as the engine numbers them. @throws UploadError MISSING_FIELD, INVALID_FIELD */
export function expectedChunks({ parts }: CompleteFields): { number: number; etag: string }[] | undefined {
  return parts?.map(({ chunk_index, part_number, etag }, at) => {
    const number = part_number ?? (chunk_index ?? -1) + 1
    if (number === 0) throw new UploadError('MISSING_FIELD', `The field parts.${at}.chunk_index is missing.`)
    if (number !== (chunk_index ?? number - 1) + 1) {
      throw new UploadError('INVALID_FIELD', `The fields of parts.${at} name two different chunks.`)
    }
    return { number, etag }
  })
}

/**
 * The upload that a request is about: named by `X-Upload-Id`, by the field `upload_id`, or by the address (`inPath`). Named twice
 * it must be the same.
 * @throws UploadError MISSING_FIELD, INVALID_FIELD
 */
export function uploadIdOf(
  headers: IncomingHttpHeaders,
  { body, inPath }: { body?: unknown; inPath?: string },
): string {
  const field = body == null ? undefined : readFields(namedUpload, body).upload_id
  const named = [inPath, headers['x-upload-id']?.toString(), field ?? undefined].filter((id) => id !== undefined)
  const [id] = named
  if (id === undefined)
    throw new UploadError('MISSING_FIELD', 'The field upload_id, or the header X-Upload-Id, is missing.')
  if (named.some((other) => other !== id))
    throw new UploadError('INVALID_FIELD', 'The request names two different uploads.')
  return id
}

function valueAt(value: unknown, path: PropertyKey[]): unknown {
  let at = value
  for (const key of path)
    at = typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined
  return at
}
