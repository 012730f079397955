import type { IncomingHttpHeaders } from 'node:http'
import { type Dictionary, parseDictionary, parseItem, serializeBoolean, serializeDictionary } from 'structured-headers'
import { errors } from '../../core/errors/errors.ts'
import type { Upload } from '../../core/upload.ts'
import type { Dialect } from './versions.ts'

// RFC 9651, section 3.3.1: an Integer has at most fifteen digits.
const largestInteger = 999_999_999_999_999

/**
 * A non-negative Integer field; `undefined` when it is absent, or of another type in a draft that ignores such fields.
 * @throws UploadError INVALID_REQUEST where the draft does not ignore it
 */
export function readInteger(
  headers: IncomingHttpHeaders,
  name: 'upload-offset' | 'upload-length',
  dialect: Dialect,
): number | undefined {
  return readItem(headers, name, dialect, (text) => {
    const [value] = parseItem(text)
    // The parser returns a number for `5.0` as well, which is a Decimal.
    return typeof value === 'number' && value >= 0 && /^ *\d+ *(;|$)/.test(text) ? value : undefined
  })
}

/**
 * Whether the request brings the end of the file: `Upload-Complete`, or the negation of `Upload-Incomplete`.
 * @throws UploadError INVALID_REQUEST where the draft does not ignore a value of another type
 */
export function readIsLast(headers: IncomingHttpHeaders, dialect: Dialect): boolean | undefined {
  const name = dialect.usesUploadIncomplete ? 'upload-incomplete' : 'upload-complete'
  const value = readItem(headers, name, dialect, (text) => {
    const [value] = parseItem(text)
    return typeof value === 'boolean' ? value : undefined
  })
  return value === undefined ? undefined : value !== dialect.usesUploadIncomplete
}

/** The Dictionary in a field; `null` when it cannot be parsed. */
export function readDictionary(text: string): Dictionary | null {
  try {
    return parseDictionary(text)
  } catch {
    return null
  }
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
  parse: (text: string) => T | undefined,
): T | undefined {
  const text = headers[name]
  if (typeof text !== 'string') return undefined
  let value: T | undefined
  try {
    value = parse(text)
  } catch {
    value = undefined
  }
  if (value === undefined && !dialect.ignoresInvalid) throw errors.fieldInvalid({ header: name })
  return value
}

function integer(value: number): number {
  return Math.min(largestInteger, Math.max(0, Math.floor(value)))
}
