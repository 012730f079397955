import { createHash } from 'node:crypto'
import type { Actor, CreateUpload } from './upload.ts'

// S3: "The name for a key is a sequence of Unicode characters whose UTF-8 encoding is at most 1,024 bytes long." A prefix in the
// bucket may take the rest.
const maxKeyBytes = 768
// What a file system takes for one name, so that the same keys work on disk.
const maxSegmentBytes = 255

export const defaultKeyTemplate = '{role}/{user}/{date}/{category}/{unique}-{name}'

const placeholders = ['role', 'user', 'date', 'category', 'unique', 'name'] as const
type Placeholder = (typeof placeholders)[number]

/** Bytes; of a file name what must be left of it, which otherwise takes the room that there is. */
const maxValueBytes: Record<Placeholder, number> = { role: 64, user: 128, date: 8, category: 64, unique: 32, name: 32 }

export interface KeyValues {
  role: string
  user: string
  createdAt: Date
  category: string
  /** Random, never given twice. */
  unique: string
  filename: string
}

/** A word that was never given before, fit for every key. `newId` makes UUIDs. */
export function uniqueToken(newId: () => string): string {
  return newId().replaceAll('-', '')
}

/**
 * What is wrong with a template, or `null`. It must name `{unique}`, or two files could share a key, and may not leave
 * the bucket's private folder free for users: a key never starts with a dot.
 */
export function templateError(template: string): string | null {
  if (!template.includes('{unique}')) return 'must contain {unique}'
  const unknown = [...template.matchAll(/\{([^}]*)\}/g)].find(([, word]) => !placeholders.includes(word as Placeholder))
  if (unknown) return `knows no {${unknown[1]}}; there are ${placeholders.map((word) => `{${word}}`).join(' ')}`
  if (template.startsWith('/') || template.startsWith('.') || template.endsWith('/') || template.includes('//')) {
    return 'must be a relative path of non-empty segments that does not start with a dot'
  }
  if (template.split('/').some((segment) => segment === '.' || segment === '..')) return 'must not contain . or ..'
  const longest = template.replace(/\{(\w+)\}/g, (_, word: Placeholder) => 'x'.repeat(maxValueBytes[word]))
  const isTooLong = (part: string, most: number) => Buffer.byteLength(part) > most
  if (isTooLong(longest, maxKeyBytes) || longest.split('/').some((segment) => isTooLong(segment, maxSegmentBytes)))
    return 'makes keys that are too long'
  return null
}

/**
 * The object key: the template with every word made safe. At most 768 bytes, each segment at most 255; the file
 * name gives way first and keeps its extension. Unicode stays, in NFC.
 */
export function makeObjectKey(template: string, words: KeyValues): string {
  const rest: Record<Exclude<Placeholder, 'name'>, string> = {
    role: distinctSegment(words.role, maxValueBytes.role),
    user: distinctSegment(words.user, maxValueBytes.user),
    date: words.createdAt.toISOString().slice(0, 10).replaceAll('-', ''),
    category: safeSegment(words.category, maxValueBytes.category),
    unique: words.unique,
  }
  const filled = template.replace(/\{(\w+)\}/g, (whole, word: string) =>
    word === 'name' ? whole : rest[word as keyof typeof rest],
  )
  const segment = filled.split('/').find((part) => part.includes('{name}')) ?? ''
  const roomInSegment = maxSegmentBytes - Buffer.byteLength(segment.replaceAll('{name}', ''))
  const roomInKey = maxKeyBytes - Buffer.byteLength(filled.replaceAll('{name}', ''))
  const name = safeSegment(words.filename, Math.max(maxValueBytes.name, Math.min(roomInSegment, roomInKey)))
  return filled.replaceAll('{name}', name)
}

/** What names objects in place of the template; `unique` is random and never given twice. */
export type NameObject = (request: {
  actor: Actor
  creation: CreateUpload
  id: string
  unique: string
}) => Promise<string>

/**
 * The object key for what `name` says: every segment made safe, at most 768 bytes, below the root and never in the server's
 * private folder. It holds `id` or `unique` in any case, so that no object ever replaces another.
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

/** A key beside `key`, in the same folder, for a file whose own is taken. */
export function otherKey(key: string, unique: string): string {
  const at = key.lastIndexOf('/') + 1
  return key.slice(0, at) + shorten(`${unique}-${key.slice(at)}`, maxSegmentBytes)
}

/**
 * `text` as a part of one path segment: NFC, nothing that a path, a shell, a header or a bidirectional trick could use,
 * never `.` or `..`, never empty, at most `maxBytes` bytes of UTF-8 with the extension kept.
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

/** As `safe`, but two different texts never become the same one. */
function distinctSegment(text: string, maxBytes: number): string {
  const clean = safeSegment(text, maxBytes)
  if (clean === text) return clean
  const mark = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return `${safeSegment(text, maxBytes - mark.length - 1)}~${mark}`
}

function shorten(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const dot = text.lastIndexOf('.')
  const extension = dot > 0 && Buffer.byteLength(text.slice(dot)) <= 16 ? text.slice(dot) : ''
  let stem = ''
  let room = maxBytes - Buffer.byteLength(extension)
  // By grapheme, so that a combining mark or a joined emoji is not torn apart.
  for (const { segment } of new Intl.Segmenter().segment(text.slice(0, text.length - extension.length))) {
    room -= Buffer.byteLength(segment)
    if (room < 0) break
    stem += segment
  }
  // The cut must not make an ending of what was none.
  if (extension === '') return stem.trimEnd().replace(/\.(?=[^.]*$)/, '-')
  return stem.trimEnd() + extension
}
