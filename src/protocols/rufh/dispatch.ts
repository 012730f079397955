import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { isOfType } from '../../http/body/length.ts'

/**
 * The constraint of routes that serve RUFH only. An upload has the same URL in every protocol, so that a client can resume it in
 * another protocol; the headers of a request tell which protocol it speaks.
 */
export const rufhConstraint = { landfallProtocol: 'rufh' }

/** The media type of an append. */
export const partialUploadType = 'application/partial-upload'

const rufhHeaders = ['upload-draft-interop-version', 'upload-complete', 'upload-incomplete']

/** Makes the router of `app` distinguish RUFH requests from others. Routes without the constraint are not affected, those of an app around neither. */
export function addRufhConstraint(app: FastifyInstance): void {
  if (app.hasConstraintStrategy('landfallProtocol')) return
  app.addConstraintStrategy({
    name: 'landfallProtocol',
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

/** Whether a request speaks RUFH: it is not tus, and it has a header of RUFH or a method or type that no other protocol here takes. */
export function isRufh({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  if ('tus-resumable' in headers) return false
  if (rufhHeaders.some((name) => name in headers)) return true
  if (method === 'OPTIONS') return announcesRufh(headers)
  const type = headers['content-type']
  if (type?.startsWith('application/offset+octet-stream')) return false
  // An offset retrieval or cancellation needs no header of RUFH, and the final RFC will not have the version header.
  return method === 'HEAD' || method === 'PATCH' || method === 'DELETE' || isOfType(headers, partialUploadType)
}

/** Whether a browser's CORS preflight asks to send headers of RUFH. */
function announcesRufh(headers: IncomingHttpHeaders): boolean {
  const wanted = headers['access-control-request-headers']
    ?.toLowerCase()
    .split(',')
    .map((name) => name.trim())
  return wanted !== undefined && !wanted.includes('tus-resumable') && rufhHeaders.some((name) => wanted.includes(name))
}
