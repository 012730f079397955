import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { readJsonBodies } from '../../http/connection/json-bodies.ts'

/** Reads the JSON bodies of `app`. One of no bytes is none, whatever type it is said to have: `curl -d ''` calls it a form. */
export function readFields(app: FastifyInstance, bodyIdleMs: number): void {
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-length'] === '0') delete headers['content-type']
  })
  readJsonBodies(app, bodyIdleMs)
}

/** Leaves every body of `app` unread: handlers take it from `request.raw` as it comes. */
export function leaveBodiesUnread(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
}

/** What Content-Length says of the body; `null` for a chunked one. */
export function bodySizeOf(headers: IncomingHttpHeaders): number | null {
  if (headers['transfer-encoding'] !== undefined) return null
  return Number(headers['content-length'] ?? 0)
}
