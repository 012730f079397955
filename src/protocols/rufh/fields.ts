import type { IncomingHttpHeaders } from 'node:http'
import { errors } from '../../core/errors/errors.ts'
import type { Upload } from '../../core/upload.ts'
import {
  largestInteger,
  readBoolean,
  readInteger as readIntegerIn,
  serializeBoolean,
  serializeDictionary,
} from '../../http/structured-fields.ts'
import type { Dialect } from './versions.ts'

/**
 * A non-negative Integer field; `undefined` when it is absent, or of another type in a draft that ignores such fields.
 * @throws UploadError INVALID_REQUEST where the draft does not ignore it
 */
export function readInteger(
  headers: IncomingHttpHeaders,
  name: 'upload-offset' | 'upload-length',
  dialect: Dialect,
): number | undefined {
  return readItem(headers, name, dialect, readIntegerIn)
}

/**
 * Whether the request brings the end of the file: `Upload-Complete`, or the negation of `Upload-Incomplete`.
 * @throws UploadError INVALID_REQUEST where the draft does not ignore a value of another type
 */
export function readIsLast(headers: IncomingHttpHeaders, dialect: Dialect): boolean | undefined {
  const name = dialect.usesUploadIncomplete ? 'upload-incomplete' : 'upload-complete'
  const value = readItem(headers, name, dialect, readBoolean)
  return value === undefined ? undefined : value !== dialect.usesUploadIncomplete
}

/** The header that says whether the upload is complete. */
export function completeness(isComplete: boolean, dialect: Dialect): Record<string, string> {
  return dialect.usesUploadIncomplete
    ? { 'upload-incomplete': serializeBoolean(!isComplete) }
    : { 'upload-complete': serializeBoolean(isComplete) }
}

/**
 * The `Upload-Limit` header: the size limits and, for an upload, the seconds until it expires. Empty for drafts without this header.
 */
export function limitHeader(
  dialect: Dialect,
  limits: (Pick<Upload, 'maxSize'> & Partial<Pick<Upload, 'expiresAt'>>) | null,
  now = Date.now(),
): Record<string, string> {
  if (dialect.ageKey === null) return {}
  const age = limits?.expiresAt ? { [dialect.ageKey]: integer((limits.expiresAt.getTime() - now) / 1000) } : {}
  const size = limits ? { 'max-size': integer(limits.maxSize) } : {}
  return { 'upload-limit': serializeDictionary({ ...size, 'min-size': 0, ...age }) }
}

function readItem<T>(
  headers: IncomingHttpHeaders,
  name: string,
  dialect: Dialect,
  read: (text: string) => T | null,
): T | undefined {
  const text = headers[name]
  if (typeof text !== 'string') return undefined
  const value = read(text)
  if (value === null && !dialect.ignoresInvalid) throw errors.fieldInvalid({ header: name })
  return value ?? undefined
}

function integer(value: number): number {
  return Math.min(largestInteger, Math.max(0, Math.floor(value)))
}
