import { createHash } from 'node:crypto'
import type { Actor, CreateUpload } from './upload.ts'

// S3: "The name for a key is a sequence of Unicode characters whose UTF-8 encoding is at most 1,024 bytes long." The rest is left for the
// prefix of the store in its bucket.
const maxKeyBytes = 768
// The longest file name of common file systems, so that the same keys work on disk.
const maxSegmentBytes = 255

export const defaultKeyTemplate = '{role}/{user}/{date}/{category}/{unique}-{name}'

const placeholders = ['role', 'user', 'date', 'category', 'unique', 'name'] as const
type Placeholder = (typeof placeholders)[number]

/** The most bytes of each value; for `name`, which gets all bytes that are left, the least. */
const maxValueBytes: Record<Placeholder, number> = { role: 64, user: 128, date: 8, category: 64, unique: 32, name: 32 }

export interface KeyValues {
  role: string
  user: string
  createdAt: Date
  category: string
  /** Random, never used twice. */
  unique: string
  filename: string
}

/** A token that is never used twice and is safe in any key. `newId` makes UUIDs. */
export function uniqueToken(newId: () => string): string {
  return newId().replaceAll('-', '')
}

/**
 * What is wrong with a template, or `null`. It must have `{unique}`, or two files could share a key, and must not start with a dot, because
 * the server keeps its own objects in `.landfall/`.
 */
export function templateError(template: string): string | null {
  if (!template.includes('{unique}')) return 'must contain {unique}'
  const unknown = [...template.matchAll(/\{([^}]*)\}/g)].find(([, name]) => !placeholders.includes(name as Placeholder))
  if (unknown)
    return `has the unknown placeholder {${unknown[1]}}; use ${placeholders.map((name) => `{${name}}`).join(' ')}`
  if (template.startsWith('/') || template.startsWith('.') || template.endsWith('/') || template.includes('//')) {
    return 'must be a relative path of non-empty segments that does not start with a dot'
  }
  if (template.split('/').some((segment) => segment === '.' || segment === '..')) return 'must not contain . or ..'
  const longest = template.replace(/\{(\w+)\}/g, (_, name: Placeholder) => 'x'.repeat(maxValueBytes[name]))
  const isTooLong = (part: string, maxBytes: number) => Buffer.byteLength(part) > maxBytes
  if (isTooLong(longest, maxKeyBytes) || longest.split('/').some((segment) => isTooLong(segment, maxSegmentBytes)))
    return `makes keys of more than ${maxKeyBytes} bytes, or segments of more than ${maxSegmentBytes}`
  return null
}

/**
 * The object key: the template with every value made safe. At most 768 bytes, each segment at most 255; the file name is cut first and
 * keeps its extension. Unicode stays, in NFC.
 */
export function makeObjectKey(template: string, values: KeyValues): string {
  const rest: Record<Exclude<Placeholder, 'name'>, string> = {
    role: distinctSegment(values.role, maxValueBytes.role),
    user: distinctSegment(values.user, maxValueBytes.user),
    date: values.createdAt.toISOString().slice(0, 10).replaceAll('-', ''),
    category: safeSegment(values.category, maxValueBytes.category),
    unique: values.unique,
  }
  const filled = template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    name === 'name' ? whole : rest[name as keyof typeof rest],
  )
  const segment = filled.split('/').find((part) => part.includes('{name}')) ?? ''
  const roomInSegment = maxSegmentBytes - Buffer.byteLength(segment.replaceAll('{name}', ''))
  const roomInKey = maxKeyBytes - Buffer.byteLength(filled.replaceAll('{name}', ''))
  const name = safeSegment(values.filename, Math.max(maxValueBytes.name, Math.min(roomInSegment, roomInKey)))
  return filled.replaceAll('{name}', name)
}

/** The operator's function that names objects in place of the template; `unique` is random and never used twice. */
export type NameObject = (request: {
  actor: Actor
  creation: CreateUpload
  id: string
  unique: string
}) => Promise<string>

/**
 * The object key for the `name` that the operator's function returned: every segment made safe, at most 768 bytes, a relative path that
 * never starts with a dot. It always contains `id` or `unique`, so that no object ever replaces another.
 */
export function makeNamedKey(name: string, id: string, unique: string): string {
  const segments = name.split('/').filter((segment) => /[^.\s]/.test(segment))
  const last = safeSegment(segments.pop() ?? '', maxSegmentBytes)
  let folder = ''
  for (const segment of segments.map((segment) => safeSegment(segment, maxSegmentBytes))) {
    if (Buffer.byteLength(folder + segment) >= maxKeyBytes - maxSegmentBytes) break
    folder += `${segment}/`
  }
  const key = folder + last
  return key.includes(id) || key.includes(unique) ? key : folder + safeSegment(`${unique}-${last}`, maxSegmentBytes)
}

/** A key beside `key`, in the same folder, for a file whose own key has another object. */
export function otherKey(key: string, unique: string): string {
  const at = key.lastIndexOf('/') + 1
  return key.slice(0, at) + shorten(`${unique}-${key.slice(at)}`, maxSegmentBytes)
}

/**
 * `text` as a part of one path segment: NFC, without characters that are special in a path, a shell or a header and without bidirectional
 * controls, never `.` or `..`, never empty, at most `maxBytes` bytes of UTF-8 with the extension kept.
 */
export function safeSegment(text: string, maxBytes: number): string {
  const clean = text
    .toWellFormed()
    .normalize('NFC')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\uFFFD]/gu, '')
    .replace(/[/\\:*?"<>|{}^`#%&$;'!~[\]]/g, '-')
    .replace(/\s+/g, ' ')
    .replace(/-{2,}/g, '-')
    .replace(/^[. -]+|[. ]+$/g, '')
  return shorten(clean === '' ? 'file' : clean, maxBytes)
}

/** As `safeSegment`, but different texts stay different. */
function distinctSegment(text: string, maxBytes: number): string {
  const clean = safeSegment(text, maxBytes)
  if (clean === text) return clean
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return `${safeSegment(text, maxBytes - hash.length - 1)}~${hash}`
}

function shorten(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const dot = text.lastIndexOf('.')
  const extension = dot > 0 && Buffer.byteLength(text.slice(dot)) <= 16 ? text.slice(dot) : ''
  let stem = ''
  let room = maxBytes - Buffer.byteLength(extension)
  // By grapheme, so that a combining mark or a joined emoji is not split.
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, text.length - extension.length))) {
    room -= Buffer.byteLength(segment)
    if (room < 0) break
    stem += segment
  }
  // A dot that the cut moved near the end must not make an extension.
  if (extension === '') return stem.trimEnd().replace(/\.(?=[^.]*$)/, '-')
  return stem.trimEnd() + extension
}
