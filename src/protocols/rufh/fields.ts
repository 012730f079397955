import type { IncomingHttpHeaders } from 'node:http'
import { type Dictionary, parseDictionary, parseItem, serializeBoolean, serializeDictionary } from 'structured-headers'
import { UploadError } from '../../core/errors/error.ts'
import type { Upload } from '../../core/upload.ts'
import type { Dialect } from './versions.ts'

// RFC 9651, section 3.3.1: an Integer has at most fifteen digits.
const largestInteger = 999_999_999_999_999

/**
 * A non-negative Integer field; `undefined` when it is absent, or ignored because it is of another type.
 * @throws UploadError INVALID_REQUEST where the draft does not ignore it
 */
export function readInteger(
  headers: IncomingHttpHeaders,
  name: 'upload-offset' | 'upload-length',
  dialect: Dialect,
): number | undefined {
  return readItem(headers, name, dialect, (text) => {
    const [value] = parseItem(text)
    // `5.0` is a Decimal, which the parser gives back as a number as well.
    return typeof value === 'number' && value >= 0 && /^ *\d+ *(;|$)/.test(text) ? value : undefined
  })
}

/**
 * Whether the request says that it brings the end of the file: `Upload-Complete`, or the opposite of `Upload-Incomplete`.
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

/** The Dictionary in a field, empty when it is; `null` when it is none. */
export function readDictionary(text: string): Dictionary | null {
  try {
    return parseDictionary(text)
  } catch {
    return null
  }
}

/** The header that says whether an answer is about a completed upload. */
export function completeness(isComplete: boolean, dialect: Dialect): Record<string, string> {
  return dialect.usesUploadIncomplete
    ? { 'upload-incomplete': serializeBoolean(!isComplete) }
    : { 'upload-complete': serializeBoolean(isComplete) }
}

/**
 * The `Upload-Limit` header: what `limits` allow and, when they are those of an upload, the seconds that are left to it.
 * Nothing in drafts that do not know it.
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
  if (value === undefined && !dialect.ignoresInvalid)
    throw new UploadError('INVALID_REQUEST', `The header ${name} has no valid value.`)
  return value
}

function integer(value: number): number {
  return Math.min(largestInteger, Math.max(0, Math.floor(value)))
}
