import type { IncomingHttpHeaders } from 'node:http'
import type { z } from 'zod'
import { type CompleteFields, type InitFields, uploadIdField } from '../../contract/chunks.ts'
import { errors } from '../../core/errors/errors.ts'

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
export function namedUser({ user_id, user_role }: InitFields): { user?: string; role?: string } {
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
  { body, inPath }: { body?: unknown; inPath?: string | undefined },
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
