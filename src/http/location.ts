import type { FastifyInstance, FastifyRequest } from 'fastify'

const root = Symbol('landfall root')

declare module 'fastify' {
  interface FastifyInstance {
    [root]?: string
  }
}

/** Makes the prefix of `app` precede every path of `addressFor` for requests to the scopes within it. */
export function addressBelow(app: FastifyInstance): void {
  app.decorate(root, app.prefix)
}

/**
 * The address of `path` on this server for the client of `request`: below the public URL if the operator set one, else relative. Clients
 * resolve a relative address against the URL they used, so it is right behind every proxy, even one that forwards another host or
 * scheme. A path prefix that a proxy cut off is put back from `X-Forwarded-Prefix`.
 */
export function addressFor(request: FastifyRequest, path: string, publicUrl: string | undefined): string {
  const below = (request.server[root] ?? '') + path
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, '') + below
  return prefixOf(request) + below
}

// Operators choose short prefixes. The limit bounds the work of the expressions below on a header that a client sends.
const maxPrefixLength = 500

function prefixOf({ headers, ips }: FastifyRequest): string {
  const header = headers['x-forwarded-prefix']
  // More than one address: the connection comes from a proxy that TRUST_PROXY names, and it forwarded the client's address.
  if (typeof header !== 'string' || (ips?.length ?? 0) < 2) return ''
  if (header.length > maxPrefixLength) return ''
  const prefix = header.replace(/\/+$/, '')
  // A prefix that begins with two slashes would be read as a host. Clients decode `%2e` to a dot and some servers `%2f` to a slash (WHATWG
  // URL, "dot segments"), so these could lead out of the prefix.
  const leadsElsewhere = /\/\.\.?(?:\/|$)|%(?:2e|2f|5c)/i.test(prefix)
  return /^(?:\/[\w.~%-]+)+$/.test(prefix) && !leadsElsewhere ? prefix : ''
}
