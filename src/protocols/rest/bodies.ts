import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Action } from '../../core/access/access.ts'
import type { Engine } from '../../core/engine.ts'
import { type JsonBodyOptions, limitBody, readJsonBodies } from '../../http/connection/json-bodies.ts'
import { maxListed } from './fields.ts'

// A chunk with its number, said twice, and its ETag is some 125 bytes.
const bytesAPart = 192
const bytesAround = 16 * 1024

/** Reads the JSON bodies of `app`. One of no bytes is none, whatever type it is said to have: `curl -d ''` calls it a form. */
export function readFields(app: FastifyInstance, json: JsonBodyOptions): void {
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-length'] === '0') delete headers['content-type']
  })
  readJsonBodies(app, json)
}

/**
 * Asks whose the upload is before the body of a request about it is read, and lets the body be as long as a list of the upload's
 * parts. Where only the body names the upload, the sender's unfinished uploads say how long it may be.
 */
export function readOnlyOfOwners(app: FastifyInstance, engine: Engine): void {
  app.addHook('preParsing', async (request) => {
    const { verb: action } = request.routeOptions.config
    if (action === undefined || !hasBody(request.headers)) return
    const id = (request.params as { id?: string }).id ?? request.headers['x-upload-id']?.toString()
    const { actor } = request
    if (id !== undefined) {
      const parts = await engine.countParts(actor, id, action)
      limitBody(request, bytesAround + (action === 'complete' ? Math.min(parts, maxListed) * bytesAPart : 0))
    } else if (action === 'complete' && actor.resumeUploadId === undefined) {
      limitBody(request, bytesAround + Math.min(await engine.largestPartCount(actor), maxListed) * bytesAPart)
    } else limitBody(request, bytesAround)
  })
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route asks of the upload that its address or `X-Upload-Id` names, where it reads a JSON body. */
    verb?: Action
  }
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
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
