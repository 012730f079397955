import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadError } from '../../core/errors/error.ts'
import type { Dialect } from './versions.ts'

const canResume = new WeakSet<FastifyRequest>()

/** Notes that the client of `request` knows where its upload is, and can go on when the connection is lost. */
export function markCanResume(request: FastifyRequest): void {
  canResume.add(request)
}

/**
 * Whether a refusal is better not answered. A request that another one took over belongs to a client that gave it up;
 * and some clients go on after a lost connection, but not after they have read that the server cannot just now.
 */
export function mustEndConnection(request: FastifyRequest, error: UploadError, dialect: Dialect): boolean {
  const wasTakenOver = error.code === 'UPLOAD_LOCKED' && error.facts.offset !== undefined
  const isPassing = error.status >= 500 || error.status === 423
  return wasTakenOver || (dialect.resumesOnlyAfterReset && isPassing && canResume.has(request))
}

/** Ends the connection of `request` without an answer. */
export function endConnection(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack()
  request.raw.socket.destroy()
  return reply
}
