import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { UploadError } from '../core/errors/error.ts'
import type { Actor } from '../core/upload.ts'
import { isId } from '../core/upload-state.ts'

export type ErrorListener = (error: UploadError, request: FastifyRequest) => void

// The key is Node's server, which all scopes of an app share.
const listeners = new WeakMap<object, ErrorListener[]>()

/** Calls `listener` for every error that `app` answers with, in every protocol. `listener` must not throw. */
export function onErrorAnswered(app: FastifyInstance, listener: ErrorListener): void {
  listeners.set(app.server, [...(listeners.get(app.server) ?? []), listener])
}

/** Calls the listeners of the server that `request` came to. */
export function reportError(error: UploadError, request: FastifyRequest): void {
  for (const listener of listeners.get(request.server.server) ?? []) listener(error, request)
}

/** The authenticated actor of the request; `null` before authentication or without it. */
export function actorIfKnown(request: FastifyRequest): Actor | null {
  try {
    return request.actor ?? null
  } catch {
    return null
  }
}

/** The admin route of a request, such as `PUT /v1/admin/policies`; `null` for any other route. */
export function adminRouteOf({ method, url, routeOptions }: FastifyRequest): string | null {
  const route = routeOptions?.url ?? (/^\/v1\/admin(?=[/?]|$)/.test(url) ? '/v1/admin/…' : '')
  return /^\/v1\/admin(\/|$)/.test(route) ? `${method} ${route}` : null
}

/** The upload id that a request names in its path or in X-Upload-Id, if it is well formed. */
export function namedUpload({ params, headers }: FastifyRequest): string | null {
  const id = (params as { id?: unknown } | undefined)?.id ?? headers['x-upload-id']
  return typeof id === 'string' && isId(id) ? id : null
}
