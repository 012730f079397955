import { createHash } from 'node:crypto'
import { isMd5 } from '../../core/parts/etag.ts'
import type { ObjectInfo } from '../../core/ports/object-store.ts'
import type { StoredPart } from '../../core/upload.ts'

/** The answer to HeadObject. */
export interface ObjectHead extends ObjectInfo {
  /** Whether the ETag is no MD5 sum, because the object is encrypted with a key of its own. */
  isOpaque: boolean
  /** The origin in the object's metadata. */
  origin: string | null
}

/** The ETag without the quotes of the header. */
export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '')
}

/**
 * Whether an object with this ETag may have been made of these parts. Where the ETags of parts are MD5 sums, S3 derives the object's
 * ETag from them; otherwise (encryption with own keys) only the number of parts can be compared.
 */
export function mayBeMadeOf(parts: StoredPart[], { etag, isOpaque }: ObjectHead): boolean {
  const [sum, count] = etag.split('-')
  if (count !== undefined && Number(count) !== parts.length) return false
  if (count === undefined || isOpaque || !parts.every((part) => isMd5(part.etag))) return true
  const expected = createHash('md5')
  for (const part of parts) expected.update(part.etag, 'hex')
  return !isMd5(sum!) || expected.digest('hex') === sum
}
