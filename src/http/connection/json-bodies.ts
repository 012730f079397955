import type { FastifyInstance } from 'fastify'
import { readBody } from '../../core/append/body.ts'
import { UploadError } from '../../core/errors.ts'

// A few kilobytes must come at once, however evenly they drip.
const longestMs = 10_000

/**
 * Reads JSON bodies in `app`, up to the route's `bodyLimit`, for at most `totalMs`. Fastify's own parser waits for a stalled
 * body for as long as the server lets a request run, which is for ever here because uploads may. An empty body is `undefined`.
 * @throws UploadError INVALID_REQUEST, FILE_TOO_LARGE, BODY_TIMEOUT
 */
export function readJsonBodies(app: FastifyInstance, idleMs: number, totalMs = longestMs): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', (request, payload, done) => {
    const chunks: Buffer[] = []
    const reading = readBody(payload, {
      limit: request.routeOptions.bodyLimit,
      idleMs,
      minSpeed: 0,
      totalMs,
      signal: new AbortController().signal,
      take(bytes) {
        chunks.push(bytes)
        return null
      },
    })
    void reading.then((end) => {
      if (end === 'overflow') return done(new UploadError('FILE_TOO_LARGE', 'The request body is too large.'))
      if (end === 'idle') return done(new UploadError('BODY_TIMEOUT', 'The request body did not arrive in time.'))
      if (end !== 'clean') return done(new UploadError('INVALID_REQUEST', 'The request body did not arrive whole.'))
      const text = decode(Buffer.concat(chunks))
      if (text === null) return done(new UploadError('INVALID_REQUEST', 'The request body is not valid UTF-8.'))
      return text.trim() === '' ? done(null, undefined) : parse(request, text, done)
    })
  })
}

function decode(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}
