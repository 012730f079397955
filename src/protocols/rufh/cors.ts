import type { FastifyInstance, FastifyRequest } from 'fastify'

const methods = 'OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE'
const readable = [
  'Location',
  'Upload-Offset',
  'Upload-Complete',
  'Upload-Incomplete',
  'Upload-Length',
  'Upload-Defer-Length',
  'Upload-Limit',
  'Upload-Resume-Token',
  'Upload-Draft-Interop-Version',
  'Repr-Digest',
  'Accept-Patch',
  'Retry-After',
  'X-Request-Id',
].join(', ')
const sendable = [
  'Authorization',
  'Content-Type',
  'Content-Disposition',
  'Content-Digest',
  'Repr-Digest',
  'Want-Repr-Digest',
  'Upload-Offset',
  'Upload-Complete',
  'Upload-Incomplete',
  'Upload-Length',
  'Upload-Defer-Length',
  'Upload-Metadata',
  'Upload-Draft-Interop-Version',
  'X-HTTP-Method-Override',
  'X-Request-Id',
  'X-Requested-With',
].join(', ')

/**
 * Lets pages of `origins` speak RUFH with `app`. At the last moment before an answer goes out, so that refusals can be
 * read as well, whoever gave them.
 */
export function allowOrigins(app: FastifyInstance, origins: '*' | string[]): void {
  app.addHook('onSend', async (request, reply) => {
    const { origin } = request.headers
    if (origins !== '*') reply.header('vary', 'Origin')
    if (origin === undefined || (origins !== '*' && !origins.includes(origin))) return
    reply.header('access-control-allow-origin', origins === '*' ? '*' : origin)
    reply.header('access-control-expose-headers', readable)
    if (!isPreflight(request)) return
    reply.header('access-control-allow-methods', methods)
    reply.header('access-control-allow-headers', sendable)
    reply.header('access-control-max-age', '86400')
  })
}

function isPreflight({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
}
