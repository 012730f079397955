import type { FastifyRequest } from 'fastify'

/**
 * The address of `path` on this server, as the client of `request` must say it: below the public URL where the operator gave
 * one, else a relative one. Relative is right behind every proxy, whatever it thinks of host and scheme, and every client
 * resolves it; only a path that a proxy cut off must be put back, and it says so in `X-Forwarded-Prefix`.
 */
export function addressFor(request: FastifyRequest, path: string, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, '') + path
  return prefixOf(request) + path
}

// A path that an operator chose. Of one without end the expressions below would make long work.
const longestPrefix = 500

function prefixOf({ headers, ips }: FastifyRequest): string {
  const said = headers['x-forwarded-prefix']
  // More than one address: the connection is that of a proxy which TRUST_PROXY names, and it said who asks.
  if (typeof said !== 'string' || (ips?.length ?? 0) < 2) return ''
  if (said.length > longestPrefix) return ''
  const prefix = said.replace(/\/+$/, '')
  // Two slashes at the start would be a host. Clients read `%2e` as a dot, and some servers `%2f` as a slash (WHATWG URL, "dot segments").
  const leadsElsewhere = /\/\.\.?(?:\/|$)|%(?:2e|2f|5c)/i.test(prefix)
  return /^(?:\/[\w.~%-]+)+$/.test(prefix) && !leadsElsewhere ? prefix : ''
}
