/*
 * An answer that is given before the request's body was read (no token, too large, wrong offset) must end the connection:
 * the rest of the body would be taken for the next request. Closing at once is not enough: bytes that arrive at a closed
 * socket are answered with a reset, and the reset can destroy the answer on its way before the client has read it. So
 * the connection is closed for writing, and what still comes is thrown away for a moment (RFC 9112, section 9.6).
 */
import type { IncomingMessage, Server } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const lingerMs = 2_000

/**
 * Makes every answer of `app` that leaves a body unread the last one of its connection, and lets clients read the last answer,
 * whoever wanted it to be the last: more may be on its way already (pipelining), also after what the client thought was its end.
 */
export function closeAfterUnreadBody(app: FastifyInstance): void {
  letLastAnswersBeRead(app.server)
  app.addHook('onSend', async (request, reply) => closeIfUnread(request, reply))
}

/** The part of it that belongs to the connections of `server`. */
export function letLastAnswersBeRead(server: Server): void {
  server.on('request', linger)
}

/** The same for an answer that no hook sees. */
export function closeIfUnread(request: FastifyRequest, reply: FastifyReply): void {
  if (hasUnreadBody(request)) reply.header('connection', 'close')
}

function hasUnreadBody({ raw }: FastifyRequest): boolean {
  if (raw.complete !== false) return false
  return raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0
}

/** Node calls `destroySoon` when the last answer of a connection is written; from then on nobody else uses the socket. */
function linger(request: IncomingMessage): void {
  const { socket } = request
  socket.destroySoon = () => {
    const patience = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(patience))
    request.resume()
    socket.end()
  }
}
