/*
 * An answer that is sent before the request's body was read (no token, too large, wrong offset) must end the connection, or the rest of the
 * body would be parsed as the next request. Closing the socket immediately is not safe: the kernel answers bytes that arrive at a closed
 * socket with a reset, and the reset can discard the answer before the client has read it. So the server closes the connection for
 * writing and discards what still arrives for a moment (RFC 9112, section 9.6).
 */
import type { IncomingMessage, Server } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasBody } from './length.ts'

const lingerMs = 2_000

/**
 * Makes every answer of `app` that leaves a body unread the last one of its connection, and gives clients time to read the last answer of
 * every connection, because with pipelining more requests may be in transit even after a request that asked to close it.
 */
export function closeAfterUnreadBody(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }) => linger(raw))
  app.addHook('onSend', async (request, reply) => closeIfUnread(request, reply))
}

/** Leaves every body of `app` unread, whatever its type: handlers, or the engine, read it from `request.raw` as it arrives. */
export function leaveBodiesUnread(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
}

/** Gives clients of `server` time to read the last answer of their connection. */
export function lingerOnClose(server: Server): void {
  server.on('request', linger)
}

/** Makes an answer the last one of its connection if the body is unread; for answers that hooks do not run for. */
export function closeIfUnread(request: FastifyRequest, reply: FastifyReply): void {
  if (hasUnreadBody(request)) reply.header('connection', 'close')
}

function hasUnreadBody({ raw }: FastifyRequest): boolean {
  return raw.complete === false && hasBody(raw.headers)
}

/** Replaces `destroySoon`, which Node calls after it has written the last answer of a connection and does not use the socket any more. */
function linger(request: IncomingMessage): void {
  const { socket } = request
  socket.destroySoon = () => {
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(timer))
    request.resume()
    socket.end()
  }
}
