import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'

/**
 * The mark on routes that are RUFH's alone. Uploads have one address in every protocol, so that one protocol goes on
 * where another stopped; which of them a request speaks is read from its headers.
 */
export const rufhConstraint = { protocol: 'rufh' }

const marks = ['upload-draft-interop-version', 'upload-complete', 'upload-incomplete']

/** Teaches the router of `app` to tell requests in RUFH from others. Routes without the mark stay as they are. */
export function addRufhConstraint(app: FastifyInstance): void {
  if (app.hasConstraintStrategy('protocol')) return
  app.addConstraintStrategy({
    name: 'protocol',
    storage: () => {
      const handlers = new Map<string, unknown>()
      return {
        get: (protocol) => (handlers.get(protocol as string) as never) ?? null,
        set: (protocol, handler) => void handlers.set(protocol as string, handler),
      }
    },
    deriveConstraint: (request: IncomingMessage) => (isRufh(request) ? 'rufh' : undefined),
    mustMatchWhenDerived: false,
  })
}

/** Whether a request speaks RUFH: what tus does not claim, and either says so itself or could be nothing else. */
export function isRufh({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  if ('tus-resumable' in headers) return false
  if (marks.some((name) => name in headers)) return true
  if (method === 'OPTIONS') return announcesRufh(headers)
  const type = headers['content-type']
  if (type?.startsWith('application/offset+octet-stream')) return false
  // A retrieval or cancellation need not carry any header of its own, and the final RFC will not know the version.
  return method === 'HEAD' || method === 'PATCH' || method === 'DELETE' || isPartialUpload(type)
}

/** Whether `type` is the media type of an append. */
export function isPartialUpload(type: string | undefined): boolean {
  return (type ?? '').split(';', 1)[0]!.trim().toLowerCase() === 'application/partial-upload'
}

/** A browser asks first whether it may send the headers that would tell. */
function announcesRufh(headers: IncomingHttpHeaders): boolean {
  const wanted = headers['access-control-request-headers']
    ?.toLowerCase()
    .split(',')
    .map((name) => name.trim())
  return wanted !== undefined && !wanted.includes('tus-resumable') && marks.some((name) => wanted.includes(name))
}
