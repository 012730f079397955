import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadError } from '../../core/errors/error.ts'
import type { Dialect } from './versions.ts'

const canResume = new WeakSet<FastifyRequest>()

/** Notes that the client of `request` knows the URL of its upload and can resume it after a lost connection. */
export function markCanResume(request: FastifyRequest): void {
  canResume.add(request)
}

/**
 * Whether to close the connection instead of answering with `error`. When another request takes the upload over, the client has
 * given up the first one. Some clients resume after a lost connection, but fail for good when they read a temporary error.
 */
export function mustEndConnection(request: FastifyRequest, error: UploadError, dialect: Dialect): boolean {
  const wasTakenOver = error.code === 'UPLOAD_LOCKED' && error.facts.offset !== undefined
  const isTransient = error.status >= 500 || error.status === 423
  return wasTakenOver || (dialect.resumesOnlyAfterReset && isTransient && canResume.has(request))
}

/** Closes the connection of `request` without an answer. */
export function endConnection(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack()
  request.raw.socket.destroy()
  return reply
}
