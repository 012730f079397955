/*
 * Which pages of other origins may call this server, and what they may send and read: one table for /v1, /api and /files, so that a
 * client which works with one of them is not stopped by the browser at another.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

export interface CorsRules {
  /** `*`, or origins; `https://*.example.org` is every subdomain, `http://localhost:*` every port. */
  origins: '*' | string[]
  /** Request headers that pages may send beside those of the protocols. */
  headers: string[]
  /** Whether browsers send cookies and client certificates along; never with `*`. */
  credentials: boolean
}

const methods = 'OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE'

const sendable = [
  'Authorization',
  'Content-Type',
  'Content-Disposition',
  'Content-Digest',
  'Content-MD5',
  'If-Match',
  'Last-Event-ID',
  'Location',
  'Repr-Digest',
  'Tus-Resumable',
  'Upload-Checksum',
  'Upload-Complete',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Draft-Interop-Version',
  'Upload-Incomplete',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'Want-Repr-Digest',
  'X-Chunk-Index',
  'X-HTTP-Method-Override',
  'X-Request-ID',
  'X-Requested-With',
  'X-Upload-Id',
  // What monitoring adds to every request of a page by itself (W3C Trace Context and Baggage; Sentry).
  'traceparent',
  'tracestate',
  'baggage',
  'sentry-trace',
]

const readable = [
  'Accept-Patch',
  'Location',
  'ETag',
  'Repr-Digest',
  'Retry-After',
  'Tus-Checksum-Algorithm',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Resumable',
  'Tus-Version',
  'Upload-Checksum',
  'Upload-Complete',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Draft-Interop-Version',
  'Upload-Expires',
  'Upload-Incomplete',
  'Upload-Length',
  'Upload-Limit',
  'Upload-Metadata',
  'Upload-Offset',
  'Upload-Resume-Token',
  'X-Request-Id',
].join(', ')

const maxAgeSeconds = 24 * 60 * 60

/** Lets pages of the allowed origins call every route of `scope` and read every answer, refusals included. Register it before anything may refuse. */
export function allowOrigins(scope: FastifyInstance, { origins, headers, credentials }: CorsRules): void {
  const isAllowed = origins === '*' ? () => true : originMatcher(origins)
  const allowedHeaders = [...sendable, ...headers].join(', ')

  function allow(request: FastifyRequest, reply: FastifyReply): void {
    const { origin } = request.headers
    // Caches must not give the answer for one origin to another.
    if (origins !== '*') reply.header('vary', 'Origin')
    if (origin === undefined || !isAllowed(origin)) return
    reply.header('access-control-allow-origin', origins === '*' ? '*' : origin)
    if (credentials && origins !== '*') reply.header('access-control-allow-credentials', 'true')
    reply.header('access-control-expose-headers', readable)
    if (!isPreflight(request)) return
    reply.header('access-control-allow-methods', methods)
    reply.header('access-control-allow-headers', allowedHeaders)
    reply.header('access-control-max-age', String(maxAgeSeconds))
  }

  // First for answers that are written by hand, and at last over whatever a library has set.
  scope.addHook('onRequest', async (request, reply) => allow(request, reply))
  scope.addHook('onSend', async (request, reply) => allow(request, reply))
}

/** Answers every OPTIONS below the scope's prefix; for scopes whose routes have no answer of their own to it. */
export function answerPreflights(scope: FastifyInstance): void {
  scope.options('*', { schema: { hide: true } }, async (_request, reply) => reply.code(204).send())
}

/** Whether a browser asks in advance if a page may send a request (Fetch, "CORS-preflight request"). */
export function isPreflight({ method, headers }: Pick<FastifyRequest, 'method' | 'headers'>): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

/** Whether an `Origin` is one of `patterns`; `*` stands for one or more labels at the front, or for any port. */
export function originMatcher(patterns: string[]): (origin: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const text = pattern
      .toLowerCase()
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace('://*\\.', '://(?:[a-z0-9-]+\\.)+')
      .replace(/:\*$/, '(?::\\d{1,5})?')
    return new RegExp(`^${text}$`)
  })
  // An origin has at most a scheme, a host name of 253 characters and a port.
  return (origin) => origin.length <= 300 && expressions.some((expression) => expression.test(origin.toLowerCase()))
}
