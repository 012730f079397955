/*
 * Whether a client received the answer to a creation. A server cannot know, but a client that received it sends another request on the same
 * connection or leaves it open. If a connection closes before the answer was written, or soon after it without another request, the
 * answer may have been lost: then the client does not know its upload's address and will send the creation again.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

// Shorter than this server's keep-alive timeout, so a connection that the server closed for being idle does not count as lost.
const lostWithinMs = 60_000

const waiting = new WeakMap<Socket, (() => void)[]>()
const watched = new WeakSet<Socket>()
const writings = new WeakMap<ServerResponse, { at: number | null }>()

/** Treats every request on a connection as proof that the client received the answers before it. */
export function trackRequests(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw }) => {
    waiting.delete(raw.socket)
  })
}

/**
 * Calls `onLost` if the connection of `request` closes in a way in which its answer may have been lost; `wasWritten`: whether the answer
 * was written at all. The connection may have closed before this is called, and one request may create several uploads.
 * @returns a function to call once the content of the answer is decided: if the connection has closed by then, it calls `onLost`
 */
export function whenAnswerLost(
  { raw: { socket } }: FastifyRequest,
  { raw: answer }: FastifyReply,
  onLost: (wasWritten: boolean) => void,
): () => void {
  const written = writingOf(answer)
  const listeners = waiting.get(socket) ?? []
  listeners.push(() => {
    const { at } = written
    // If the connection was to close after this answer anyway, its close does not show a loss.
    const isSoon = at !== null && performance.now() - at < lostWithinMs && answer.shouldKeepAlive
    if (at === null || isSoon) onLost(at !== null)
  })
  const reportIfClosed = () => {
    if (socket.destroyed) onLost(false)
  }
  reportIfClosed()
  waiting.set(socket, listeners)
  if (watched.has(socket)) return reportIfClosed
  watched.add(socket)
  socket.once('close', () => {
    for (const listener of waiting.get(socket) ?? []) listener()
  })
  return reportIfClosed
}

/** When the answer was written. All callers for one answer share one listener. */
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
