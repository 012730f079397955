import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadError } from '../../core/errors/error.ts'

/**
 * Whether to close the connection instead of answering with `error`. When another request takes the upload over, the client has
 * given up the first one. Some clients resume after a lost connection, but fail for good when they read a temporary error.
 */
export function mustEndConnection(request: FastifyRequest, error: UploadError): boolean {
  const wasTakenOver = error.code === 'UPLOAD_LOCKED' && error.facts.offset !== undefined
  const isTransient = error.status >= 500 || error.status === 423
  return wasTakenOver || (request.dialect.resumesOnlyAfterReset && isTransient && request.canResume)
}

/** Closes the connection of `request` without an answer. */
export function endConnection(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack()
  request.raw.socket.destroy()
  return reply
}
