/*
 * Which pages of other origins may call this server, and which headers they may send and read. One table serves /v1, /api and /files, so
 * a browser that allows a client to use one of them does not block it at another.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { headerNames } from '../contract/headers.ts'

export interface CorsRules {
  /** `*` or a list of origins: `https://*.example.org` is every subdomain, `http://localhost:*` every port. */
  origins: '*' | string[]
  /** Request headers that pages may send in addition to those of the protocols. */
  headers: string[]
  /** Whether browsers may send cookies and client certificates; never with `*`. */
  credentials: boolean
}

const methods = 'OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE'

const requestHeaders = headerNames('request')
const responseHeaders = headerNames('response').join(', ')
const maxAgeSeconds = 24 * 60 * 60

/**
 * Lets pages of the allowed origins call every route of `scope` and read every answer, errors included. Register it before any hook that
 * may refuse a request, or pages cannot read that error.
 */
export function allowOrigins(scope: FastifyInstance, { origins, headers, credentials }: CorsRules): void {
  const isAllowed = origins === '*' ? () => true : originMatcher(origins)
  const allowedHeaders = [...requestHeaders, ...headers].join(', ')

  function allow(request: FastifyRequest, reply: FastifyReply): void {
    const { origin } = request.headers
    // A cache must not serve the answer for one origin to another.
    if (origins !== '*') reply.header('vary', 'Origin')
    if (origin === undefined || !isAllowed(origin)) return
    reply.header('access-control-allow-origin', origins === '*' ? '*' : origin)
    if (credentials && origins !== '*') reply.header('access-control-allow-credentials', 'true')
    reply.header('access-control-expose-headers', responseHeaders)
    if (!isPreflight(request)) return
    reply.header('access-control-allow-methods', methods)
    reply.header('access-control-allow-headers', allowedHeaders)
    reply.header('access-control-max-age', String(maxAgeSeconds))
  }

  // onRequest covers answers that a handler writes to the socket itself; onSend overwrites what a library has set.
  scope.addHook('onRequest', async (request, reply) => allow(request, reply))
  scope.addHook('onSend', async (request, reply) => allow(request, reply))
}

/** Answers every OPTIONS below the scope's prefix, for scopes whose routes do not answer it themselves. */
export function answerPreflights(scope: FastifyInstance): void {
  scope.options('*', { schema: { hide: true } }, async (_request, reply) => reply.code(204).send())
}

/** Whether the request is a CORS preflight (Fetch, "CORS-preflight request"). */
export function isPreflight({ method, headers }: Pick<FastifyRequest, 'method' | 'headers'>): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined
}

/** Returns a function that tells whether an `Origin` matches `patterns`; `*` is one or more labels at the front, or any port. */
export function originMatcher(patterns: string[]): (origin: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const text = pattern
      .toLowerCase()
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace('://*\\.', '://(?:[a-z0-9-]+\\.)+')
      .replace(/:\*$/, '(?::\\d{1,5})?')
    return new RegExp(`^${text}$`)
  })
  // An origin is at most a scheme, a host name of 253 characters and a port; longer text is not matched against the expressions.
  return (origin) => origin.length <= 300 && expressions.some((expression) => expression.test(origin.toLowerCase()))
}
