import type { FastifyInstance } from 'fastify'
import { maxListedParts } from '../../contract/chunks.ts'
import type { Engine } from '../../core/engine.ts'
import { type JsonBodyOptions, readJsonBodies } from '../../http/body/json-bodies.ts'
import { hasBody } from '../../http/body/length.ts'

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
      request.jsonBodyLimit = otherBytes + (action === 'complete' ? Math.min(parts, maxListedParts) * bytesPerPart : 0)
    } else if (action === 'complete' && actor.resumeUploadId === undefined) {
      request.jsonBodyLimit = otherBytes + Math.min(await engine.largestPartCount(actor), maxListedParts) * bytesPerPart
    } else request.jsonBodyLimit = otherBytes
  })
}
