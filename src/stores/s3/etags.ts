import { createHash } from 'node:crypto'
import { isMd5 } from '../../core/parts/etag.ts'
import type { ObjectInfo } from '../../core/ports.ts'
import type { StoredPart } from '../../core/upload.ts'

/** An object as HEAD describes it. Encrypted with a key of its own it has an ETag that is no digest. */
export interface Found extends ObjectInfo {
  isOpaque: boolean
  /** What the object says of where it comes from. */
  origin: string | null
}

/** An ETag as it is kept: without the quotes of its header. */
export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '')
}

/**
 * Whether an object with this ETag can have been joined of these parts. Where the parts' ETags are MD5 sums, S3 makes the
 * object's of them; where they are not (encryption with own keys), only the number of parts can be compared.
 */
export function mayBeJoinOf(parts: StoredPart[], { etag, isOpaque }: Found): boolean {
  const [sum, count] = etag.split('-')
  if (count !== undefined && Number(count) !== parts.length) return false
  if (count === undefined || isOpaque || !parts.every((part) => isMd5(part.etag))) return true
  const joined = createHash('md5')
  for (const part of parts) joined.update(part.etag, 'hex')
  return !isMd5(sum!) || joined.digest('hex') === sum
}
