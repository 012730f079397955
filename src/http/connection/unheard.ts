/*
 * Whether a client heard the answer to a creation. No server can know; but one that heard it asks something else on the same
 * connection, or leaves it open. A connection that ends before the answer was written, or soon after it without another request,
 * is one on which the answer may have been lost: then the client does not know its upload, and will ask for it again.
 */
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

// Less than the time after which this server closes a connection on which nothing is asked.
const soonMs = 60_000

const waiting = new WeakMap<Socket, () => void>()
const watched = new WeakSet<Socket>()

/** Makes every further request on a connection show that the answers before it were heard. */
export function noteRequests(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }) => {
    waiting.delete(raw.socket)
  })
}

/**
 * Calls `tell` once the connection of `request` has ended in a way in which its answer may not have been heard, and says whether the
 * answer was written at all.
 */
export function whenUnheard(
  { raw: { socket } }: FastifyRequest,
  { raw: answer }: FastifyReply,
  tell: (wasWritten: boolean) => void,
): void {
  let writtenAt: number | null = null
  answer.once('finish', () => {
    writtenAt = performance.now()
  })
  waiting.set(socket, () => {
    // A connection that was to end with this answer says nothing by its end.
    const isSoon = writtenAt !== null && performance.now() - writtenAt < soonMs && answer.shouldKeepAlive
    if (writtenAt === null || isSoon) tell(writtenAt !== null)
  })
  if (watched.has(socket)) return
  watched.add(socket)
  socket.once('close', () => waiting.get(socket)?.())
}
