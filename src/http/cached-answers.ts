/*
 * An answer that is the same for every client is rendered once and its bytes are reused. Otherwise an unauthenticated client could make
 * the server render a document, or open a file, for each request, and hold one copy of the answer in memory per request.
 */
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { FastifyInstance, FastifyReply } from 'fastify'

// A client can spell the path of one file in many ways. Paths beyond this number are answered without the cache, so its size is bounded.
const maxCached = 200
const cachedHeaders = ['content-type', 'cache-control', 'content-security-policy', 'etag', 'last-modified']

interface CachedAnswer {
  body: Buffer
  headers: Record<string, string>
}

/**
 * Caches the first 200 to a GET of each path of `app` that `isCacheable` accepts, and sends it to all later requests of the path. Only for
 * paths whose answers depend on nothing but the path.
 */
export function cacheAnswers(app: FastifyInstance, isCacheable: (path: string) => boolean): void {
  const cached = new Map<string, CachedAnswer>()

  app.addHook('onRequest', async ({ method, url }, reply) => {
    const found = method === 'GET' ? cached.get(pathOf(url)) : undefined
    if (found) return reply.headers(found.headers).send(found.body)
  })
  app.addHook('onSend', async ({ method, url }, reply, payload) => {
    const path = pathOf(url)
    if (method !== 'GET' || reply.statusCode !== 200 || !isCacheable(path)) return payload
    if (cached.has(path) || cached.size >= maxCached) return payload
    const body = await bytesOf(payload)
    if (body === null) return payload
    cached.set(path, { body, headers: headersOf(reply) })
    return body
  })
}

async function bytesOf(payload: unknown): Promise<Buffer | null> {
  if (typeof payload === 'string') return Buffer.from(payload)
  if (Buffer.isBuffer(payload)) return payload
  if (typeof (payload as Readable | null)?.pipe === 'function') return buffer(payload as Readable)
  return null
}

function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    cachedHeaders.filter((name) => reply.hasHeader(name)).map((name) => [name, String(reply.getHeader(name))]),
  )
}

function pathOf(url: string): string {
  return url.split('?', 1)[0]!
}
