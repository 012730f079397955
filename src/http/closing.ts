import type { FastifyInstance } from 'fastify'

/*
 * Node's server closes when its connections are gone, and of those it closes by itself only such as are idle at that very
 * moment. One that falls idle after its last answer is waited for, and so is one on which nothing was ever asked: a browser
 * opens some ahead of need.
 */

const inFlight = new WeakMap<FastifyInstance, { count: number }>()
// As long as an answer to an unread body is given time to be read, and a little.
const quietMs = 2500
const lookEveryMs = 100

/** Counts the requests of `app` that are being answered, for `closeConnections`. */
export function countRequests(app: FastifyInstance): void {
  const requests = { count: 0 }
  inFlight.set(app, requests)
  app.addHook('onRequest', async () => {
    requests.count += 1
  })
  app.addHook('onResponse', async () => {
    requests.count -= 1
  })
}

/** Closes `app`: waits for requests that are being answered, and not for connections on which nobody asks. */
export async function closeConnections(app: FastifyInstance): Promise<void> {
  const requests = inFlight.get(app)
  let quietSince = performance.now()
  const look = setInterval(() => {
    if (requests && requests.count > 0) quietSince = performance.now()
    if (performance.now() - quietSince > quietMs) app.server.closeAllConnections()
    else app.server.closeIdleConnections()
  }, lookEveryMs)
  await app.close().finally(() => clearInterval(look))
}
