import type { IncomingHttpHeaders } from 'node:http'

/** The length of a body in bytes by its headers: 0 without a body, `null` for a chunked one. */
export function bodySizeOf(headers: IncomingHttpHeaders): number | null {
  if (headers['transfer-encoding'] !== undefined) return null
  return Number(headers['content-length'] ?? 0)
}

/** Whether a request with these headers has a body that is not empty, or may have one because it is chunked. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  return bodySizeOf(headers) !== 0
}

/** Whether the body has the media type `type`, whatever its parameters (RFC 9110, section 8.3.1). */
export function isOfType(headers: Pick<IncomingHttpHeaders, 'content-type'>, type: string): boolean {
  return (headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase() === type
}
