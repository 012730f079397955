/*
 * Requests that Node's parser lets pass although two parties on their way could read them differently (request smuggling), or
 * although this server does not speak their version. Node itself refuses Content-Length beside Transfer-Encoding, folded headers,
 * bare line feeds and spaces before a colon.
 */
import type { IncomingMessage } from 'node:http'
import { UploadError } from '../../core/errors/error.ts'

/** A proxy could believe one of them and this server the other. */
const once = new Set(['host', 'authorization', 'content-length', 'transfer-encoding'])
// RFC 3986 3.2.2 without user information: a name, an IPv4 address or an IPv6 address in brackets, and a port.
const authority = /^(?:\[[\da-f:.]+\]|[\w.~%!$&'()*+;=-]+)(?::\d*)?$/i

// RFC 9112 3.2.2: a scheme, an authority and what follows it; no fragment.
const absoluteForm = /^https?:\/\/([^/?#]+)([/?][^#]*)?$/i

/** Why `request` is refused before anything reads it; `null` for one that has one meaning. */
export function findGrammarError(request: IncomingMessage): UploadError | null {
  const { httpVersion, headers, rawHeaders, url = '' } = request
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return malformedRequest('Only HTTP/1.1 and HTTP/1.0 are spoken here.')
  if (!url.startsWith('/') && !(url === '*' && request.method === 'OPTIONS') && !readAbsolute(url))
    return malformedRequest('The target of a request must be a path that begins with a slash, or an http URL.')
  const repeated = findRepeated(rawHeaders)
  if (repeated) return malformedRequest(`The header ${repeated} must be there once.`)
  const { host, 'transfer-encoding': coding } = headers
  if (host === undefined ? httpVersion === '1.1' : !authority.test(host))
    return malformedRequest('The header Host must be there, with the name of the server and its port.')
  if (coding === undefined) return null
  if (httpVersion === '1.0') return malformedRequest('HTTP/1.0 knows no Transfer-Encoding: send Content-Length.')
  return coding.trim().toLowerCase() === 'chunked'
    ? null
    : malformedRequest('The only Transfer-Encoding taken here is chunked.')
}

/**
 * Gives a request whose target is a whole URL the form of all others. RFC 9112 3.2.2: such a request must be accepted, and its Host header
 * is ignored: the server's name is that of the URL. Call it for a request that has no fault.
 */
export function toOriginForm(request: IncomingMessage): void {
  const target = readAbsolute(request.url ?? '')
  if (!target) return
  const { host, path } = target
  request.headers.host = host
  if (path === '' && request.method === 'OPTIONS') request.url = '*'
  else request.url = path.startsWith('/') ? path : `/${path}`
}

function readAbsolute(url: string): { host: string; path: string } | null {
  const [, host, path = ''] = absoluteForm.exec(url) ?? []
  return host !== undefined && authority.test(host) ? { host, path } : null
}

function findRepeated(rawHeaders: string[]): string | null {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    if (!once.has(name)) continue
    if (seen.has(name)) return name
    seen.add(name)
  }
  return null
}

function malformedRequest(message: string): UploadError {
  return new UploadError('INVALID_REQUEST', message)
}
