import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadError } from '../../core/errors.ts'
import type { Dialect } from './versions.ts'

const resumable = new WeakSet<FastifyRequest>()

/** Notes that the client of `request` knows where its upload is, and can go on when the connection is lost. */
export function markResumable(request: FastifyRequest): void {
  resumable.add(request)
}

/**
 * Whether a refusal is better not answered. A request that another one took over belongs to a client that gave it up;
 * and some clients go on after a lost connection, but not after they have read that the server cannot just now.
 */
export function mustEndConnection(request: FastifyRequest, refusal: UploadError, dialect: Dialect): boolean {
  const wasTakenOver = refusal.code === 'UPLOAD_LOCKED' && refusal.facts.offset !== undefined
  const isPassing = refusal.status >= 500 || refusal.status === 423
  return wasTakenOver || (dialect.resumesOnlyLostConnections && isPassing && resumable.has(request))
}

/** Ends the connection of `request` without an answer. */
export function endConnection(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack()
  request.raw.socket.destroy()
  return reply
}
