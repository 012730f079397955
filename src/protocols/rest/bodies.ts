import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { maxListedParts } from '../../contract/chunks.ts'
import type { Engine } from '../../core/engine.ts'
import { type JsonBodyOptions, limitBody, readJsonBodies } from '../../http/connection/json-bodies.ts'

// A part in the list, with both of its numbers and its ETag, is about 125 bytes.
const bytesPerPart = 192
const otherBytes = 16 * 1024

/** Parses the JSON bodies of `app`. An empty body counts as none whatever its content type is, because `curl -d ''` calls it a form. */
export function parseJson(app: FastifyInstance, json: JsonBodyOptions): void {
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-length'] === '0') delete headers['content-type']
  })
  readJsonBodies(app, json)
}

/**
 * Authorizes a request about an upload before its body is read, and limits the body to the size of a list of the upload's parts. Where
 * only the body names the upload, the largest unfinished upload of the client sets the limit.
 */
export function authorizeBeforeBody(app: FastifyInstance, engine: Engine): void {
  app.addHook('preParsing', async (request) => {
    const [action] = request.routeOptions.config.actions ?? []
    if (action === undefined || action === 'create' || !hasBody(request.headers)) return
    const id = (request.params as { id?: string }).id ?? request.headers['x-upload-id']?.toString()
    const { actor } = request
    if (id !== undefined) {
      const parts = await engine.countParts(actor, id, action)
      limitBody(request, otherBytes + (action === 'complete' ? Math.min(parts, maxListedParts) * bytesPerPart : 0))
    } else if (action === 'complete' && actor.resumeUploadId === undefined) {
      limitBody(request, otherBytes + Math.min(await engine.largestPartCount(actor), maxListedParts) * bytesPerPart)
    } else limitBody(request, otherBytes)
  })
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** Leaves every body of `app` unread: handlers read it from `request.raw` as it arrives. */
export function leaveBodiesUnread(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
}

/** The length of a body by its Content-Length; `null` for a chunked one. */
export function bodySizeOf(headers: IncomingHttpHeaders): number | null {
  if (headers['transfer-encoding'] !== undefined) return null
  return Number(headers['content-length'] ?? 0)
}
