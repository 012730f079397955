/*
 * Answers that are the same for everybody are made once: a document that is written anew for each request, or a file that is opened for
 * each, costs a stranger nothing to ask for and the server an answer's worth of memory. All who ask are given the same bytes.
 */
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { FastifyInstance, FastifyReply } from 'fastify'

// One file has many spellings of its path; those beyond this are answered as if nothing were kept.
const maxCached = 200
const cachedHeaders = ['content-type', 'cache-control', 'content-security-policy', 'etag', 'last-modified']

interface CachedAnswer {
  body: Buffer
  headers: Record<string, string>
}

/**
 * Keeps the first 200 to a GET of each path of `app` that `isSame` accepts, and gives it to all that ask for it later. For paths whose
 * answers depend on nothing but the path.
 */
export function cacheAnswers(app: FastifyInstance, isSame: (path: string) => boolean): void {
  const kept = new Map<string, CachedAnswer>()

  app.addHook('onRequest', async ({ method, url }, reply) => {
    const found = method === 'GET' ? kept.get(pathOf(url)) : undefined
    if (found) return reply.headers(found.headers).send(found.body)
  })
  app.addHook('onSend', async ({ method, url, headers }, reply, payload) => {
    const path = pathOf(url)
    if (method !== 'GET' || reply.statusCode !== 200 || headers.range !== undefined || !isSame(path)) return payload
    const known = kept.get(path)
    if (known || kept.size >= maxCached) return payload
    const body = await bytesOf(payload)
    if (body === null) return payload
    kept.set(path, { body, headers: headersOf(reply) })
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
