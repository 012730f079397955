import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** The bearer token of a request (RFC 6750, section 2.1). */
export function bearerOf({ headers }: { headers: IncomingHttpHeaders }): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
}

/** Whether the bearer token of `request` is `token`. Both are hashed and compared in constant time. */
export function bringsToken(request: { headers: IncomingHttpHeaders }, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(bearerOf(request) ?? ''), digest(token))
}
