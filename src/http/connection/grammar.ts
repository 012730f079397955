/*
 * Refuses requests that Node's parser accepts although a proxy and this server could read them differently (request smuggling), or
 * although their HTTP version is not supported. Node itself refuses Content-Length together with Transfer-Encoding, folded headers, bare
 * line feeds and spaces before a colon.
 */
import type { IncomingMessage } from 'node:http'
import type { UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'

/** Headers that may occur once: of two, a proxy could use one and this server the other. */
const singleHeaders = new Set(['host', 'authorization', 'content-length', 'transfer-encoding'])
// RFC 3986 3.2.2 without user information: a name, an IPv4 address or an IPv6 address in brackets, and a port.
const authority = /^(?:\[[\da-f:.]+\]|[\w.~%!$&'()*+;=-]+)(?::\d*)?$/i

// RFC 9112 3.2.2: a scheme, an authority and what follows it; no fragment.
const absoluteForm = /^https?:\/\/([^/?#]+)([/?][^#]*)?$/i

/** The error for a request that is ambiguous or not supported; `null` for one with a single meaning. Checked before anything reads it. */
export function findGrammarError(request: IncomingMessage): UploadError | null {
  const { httpVersion, headers, rawHeaders, url = '' } = request
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return errors.httpVersionNotSupported()
  if (!url.startsWith('/') && !(url === '*' && request.method === 'OPTIONS') && !readAbsolute(url))
    return errors.targetInvalid()
  const repeated = findRepeated(rawHeaders)
  if (repeated) return errors.headerRepeated({ header: repeated })
  const { host, 'transfer-encoding': coding } = headers
  if (host === undefined ? httpVersion === '1.1' : !authority.test(host)) return errors.hostInvalid()
  if (coding === undefined) return null
  if (httpVersion === '1.0') return errors.transferEncodingInHttp10()
  return coding.trim().toLowerCase() === 'chunked' ? null : errors.transferEncodingNotSupported()
}

/**
 * Converts a request whose target is a whole URL (absolute-form) to origin-form. RFC 9112 3.2.2: a server must accept such a request, ignore
 * its Host header and use the host of the URL. Call it only for a request for which `findGrammarError` returns `null`.
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
    if (!singleHeaders.has(name)) continue
    if (seen.has(name)) return name
    seen.add(name)
  }
  return null
}
