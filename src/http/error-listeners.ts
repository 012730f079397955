import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { UploadError } from '../core/errors/error.ts'
import type { Actor } from '../core/upload.ts'
import { isId } from '../core/upload-view.ts'

export type ErrorListener = (error: UploadError, request: FastifyRequest) => void

// By Node's server, which all scopes of an app have in common.
const listeners = new WeakMap<object, ErrorListener[]>()

/** Calls `listener` for every refusal that `app` answers with, in whatever protocol. It must not throw. */
export function onErrorAnswered(app: FastifyInstance, listener: ErrorListener): void {
  listeners.set(app.server, [...(listeners.get(app.server) ?? []), listener])
}

/** Tells whoever listens. */
export function reportError(error: UploadError, request: FastifyRequest): void {
  for (const listener of listeners.get(request.server.server) ?? []) listener(error, request)
}

/** Who asks, if that is known. */
export function actorIfKnown(request: FastifyRequest): Actor | null {
  try {
    return request.actor ?? null
  } catch {
    return null
  }
}

/** The admin route that a request asks for, such as `PUT /v1/admin/policies`; `null`: it asks for another one. */
export function adminRouteOf({ method, url, routeOptions }: FastifyRequest): string | null {
  const route = routeOptions?.url ?? (/^\/v1\/admin(?=[/?]|$)/.test(url) ? '/v1/admin/…' : '')
  return /^\/v1\/admin(\/|$)/.test(route) ? `${method} ${route}` : null
}

/** The upload that a request names, if it has the form of one. */
export function namedUpload({ params, headers }: FastifyRequest): string | null {
  const id = (params as { id?: unknown } | undefined)?.id ?? headers['x-upload-id']
  return typeof id === 'string' && isId(id) ? id : null
}
