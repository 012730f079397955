import type { FastifyInstance, FastifyRequest } from 'fastify'
import { onResponseClosed } from './response-closed.ts'

/*
 * Node's server closes only after all its connections are closed, and `close` itself closes those that are idle at that moment. It waits
 * for a connection that becomes idle later, and for one on which no request was ever sent, which browsers open ahead of need.
 */

const inFlight = new WeakMap<FastifyInstance, Map<FastifyRequest, number>>()
// A little more than the linger time of unread-body.ts, so that a client can still read its last answer.
const defaultQuietMs = 2500
const checkIntervalMs = 100

/** Tracks the requests of `app` that are being answered, for `closeConnections`. Returns a function that counts them. */
export function countRequests(app: FastifyInstance): () => number {
  const requests = new Map<FastifyRequest, number>()
  inFlight.set(app, requests)
  app.addHook('onRequest', async (request, { raw }) => {
    requests.set(request, performance.now())
    // Not onResponse: Fastify calls it for answers that were sent, and a client may disconnect before.
    onResponseClosed(raw, () => requests.delete(request))
  })
  return () => requests.size
}

/** The requests that are being answered, for the log: one line each with method, request id and duration. */
export function requestsInFlight(app: FastifyInstance): string[] {
  return [...(inFlight.get(app) ?? [])].map(
    ([{ method, id }, since]) => `${method} ${id} for ${Math.round(performance.now() - since)} ms`,
  )
}

/**
 * Closes `app`: waits for requests that are being answered and not for idle connections.
 * @param quietMs when no request has been in progress for this long, all remaining connections are closed
 */
export async function closeConnections(app: FastifyInstance, quietMs = defaultQuietMs): Promise<void> {
  const requests = inFlight.get(app)
  let quietSince = performance.now()
  const timer = setInterval(() => {
    if (requests && requests.size > 0) quietSince = performance.now()
    if (performance.now() - quietSince > quietMs) app.server.closeAllConnections()
    else app.server.closeIdleConnections()
  }, checkIntervalMs)
  await app.close().finally(() => clearInterval(timer))
}
