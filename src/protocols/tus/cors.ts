import type { FastifyReply, FastifyRequest } from 'fastify'

/** `'*'`: every page may call. Cookies are never used, so no credentials are allowed. */
export type Origins = '*' | string[]

const allowedHeaders = [
  'Authorization',
  'Content-Type',
  'Location',
  'Tus-Resumable',
  'Upload-Checksum',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'X-HTTP-Method-Override',
  'X-Request-ID',
  'X-Requested-With',
  'Upload-Draft-Interop-Version',
  'Upload-Complete',
  'Upload-Incomplete',
].join(', ')
const exposedHeaders = [
  'Location',
  'Retry-After',
  'Tus-Checksum-Algorithm',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Resumable',
  'Tus-Version',
  'Upload-Checksum',
  'Upload-Concat',
  'Upload-Defer-Length',
  'Upload-Expires',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
  'Upload-Resume-Token',
  'Upload-Complete',
  'Upload-Limit',
  'Upload-Draft-Interop-Version',
  'X-Request-Id',
].join(', ')

/** Lets pages of the allowed origins call and read every answer, refusals and preflights included. */
export function allowOrigin(request: FastifyRequest, reply: FastifyReply, origins: Origins): void {
  const { origin } = request.headers
  if (origins !== '*') reply.header('vary', 'Origin')
  if (origin === undefined || (origins !== '*' && !origins.includes(origin))) return
  reply.header('access-control-allow-origin', origins === '*' ? '*' : origin)
  reply.header('access-control-expose-headers', exposedHeaders)
  if (request.method !== 'OPTIONS') return
  reply.header('access-control-allow-methods', 'POST, HEAD, PATCH, DELETE, OPTIONS, GET, PUT')
  reply.header('access-control-allow-headers', allowedHeaders)
  reply.header('access-control-max-age', '86400')
}
