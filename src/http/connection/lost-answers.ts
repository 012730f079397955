/*
 * Whether a client heard the answer to a creation. No server can know; but one that heard it asks something else on the same
 * connection, or leaves it open. A connection that ends before the answer was written, or soon after it without another request,
 * is one on which the answer may have been lost: then the client does not know its upload, and will ask for it again.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

// Less than the time after which this server closes a connection on which nothing is asked.
const shortlyMs = 60_000

const waiting = new WeakMap<Socket, (() => void)[]>()
const watched = new WeakSet<Socket>()
const writings = new WeakMap<ServerResponse, { at: number | null }>()

/** Makes every further request on a connection show that the answers before it were heard. */
export function noteRequests(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }) => {
    waiting.delete(raw.socket)
  })
}

/**
 * Calls `tell` once the connection of `request` has ended in a way in which its answer may not have been heard, and says whether the
 * answer was written at all. A connection may have ended before this is called, and one request may begin several uploads. What is
 * returned is to be called when it is known what the answer says: a connection that has ended by then was told of something else.
 */
export function whenAnswerLost(
  { raw: { socket } }: FastifyRequest,
  { raw: answer }: FastifyReply,
  tell: (wasWritten: boolean) => void,
): () => void {
  const written = writingOf(answer)
  const listeners = waiting.get(socket) ?? []
  listeners.push(() => {
    const { at } = written
    // A connection that was to end with this answer says nothing by its end.
    const isSoon = at !== null && performance.now() - at < shortlyMs && answer.shouldKeepAlive
    if (at === null || isSoon) tell(at !== null)
  })
  const tellIfOver = () => {
    if (socket.destroyed) tell(false)
  }
  tellIfOver()
  waiting.set(socket, listeners)
  if (watched.has(socket)) return tellIfOver
  watched.add(socket)
  socket.once('close', () => {
    for (const listener of waiting.get(socket) ?? []) listener()
  })
  return tellIfOver
}

/** When the answer was written; all who ask share one listener. */
function writingOf(answer: ServerResponse): { at: number | null } {
  const known = writings.get(answer)
  if (known) return known
  const writing: { at: number | null } = { at: null }
  writings.set(answer, writing)
  answer.once('finish', () => {
    writing.at = performance.now()
  })
  return writing
}
