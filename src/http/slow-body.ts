import type { FastifyInstance, FastifyRequest } from 'fastify'

/*
 * Files may take hours, so the server has no time limit for requests, and what reads a file has its own idea of too slow.
 * What Fastify itself reads, a few kilobytes of JSON, must come at once.
 */

const parsingMs = 10_000

/** Ends connections of `app` whose JSON body does not come within `patienceMs`; those that routes read themselves may last. */
export function endSlowBodies(app: FastifyInstance, patienceMs = parsingMs): void {
  const timers = new WeakMap<FastifyRequest, NodeJS.Timeout>()
  app.addHook('preParsing', async (request, { raw }) => {
    const timer = setTimeout(() => request.raw.socket.destroy(), patienceMs)
    timers.set(request, timer)
    raw.once('close', () => clearTimeout(timer))
  })
  app.addHook('preValidation', async (request) => clearTimeout(timers.get(request)))
}
