import { createHash } from 'node:crypto'
import type { Bytes } from '../ports/object-store.ts'

/** Whether an ETag can be the MD5 sum of what it belongs to; other stores, and encryption, make them as they like. */
export function isMd5(etag: string): boolean {
  return /^[0-9a-f]{32}$/.test(etag)
}

/** The MD5 sum of all bytes, in hex. */
export async function md5Of(bytes: Bytes): Promise<string> {
  const hash = createHash('md5')
  for await (const chunk of bytes.chunks()) hash.update(chunk)
  return hash.digest('hex')
}
