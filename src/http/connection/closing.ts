import type { FastifyInstance, FastifyRequest } from 'fastify'
import { onResponseClosed } from './response-closed.ts'

/*
 * Node's server closes when its connections are gone, and of those it closes by itself only such as are idle at that very
 * moment. One that falls idle after its last answer is waited for, and so is one on which nothing was ever asked: a browser
 * opens some ahead of need.
 */

const inFlight = new WeakMap<FastifyInstance, Map<FastifyRequest, number>>()
// As long as an answer to an unread body is given time to be read, and a little.
const usualQuietMs = 2500
const lookEveryMs = 100

/** Remembers the requests of `app` that are being answered, for `closeConnections`. Returns how many there are. */
export function countRequests(app: FastifyInstance): () => number {
  const requests = new Map<FastifyRequest, number>()
  inFlight.set(app, requests)
  app.addHook('onRequest', async (request, { raw }) => {
    requests.set(request, performance.now())
    // Not onResponse: Fastify keeps that for answers that were sent, and a client may be gone before.
    onResponseClosed(raw, () => requests.delete(request))
  })
  return () => requests.size
}

/** What is being answered, a line each: method, id of the request, for how long. For the log. */
export function requestsInFlight(app: FastifyInstance): string[] {
  return [...(inFlight.get(app) ?? [])].map(
    ([{ method, id }, since]) => `${method} ${id} for ${Math.round(performance.now() - since)} ms`,
  )
}

/**
 * Closes `app`: waits for requests that are being answered, and not for idle connections.
 * @param quietMs how long a connection may stay that is neither in use nor idle, when nothing is asked any more
 */
export async function closeConnections(app: FastifyInstance, quietMs = usualQuietMs): Promise<void> {
  const requests = inFlight.get(app)
  let quietSince = performance.now()
  const look = setInterval(() => {
    if (requests && requests.size > 0) quietSince = performance.now()
    if (performance.now() - quietSince > quietMs) app.server.closeAllConnections()
    else app.server.closeIdleConnections()
  }, lookEveryMs)
  await app.close().finally(() => clearInterval(look))
}
