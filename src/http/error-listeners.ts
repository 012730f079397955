import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { UploadError } from '../core/errors/error.ts'
import type { Actor } from '../core/upload.ts'
import { isId } from '../core/upload-state.ts'

export type ErrorListener = (error: UploadError, request: FastifyRequest) => void

/** The listeners of a scope and of the scopes within it. */
const listeners = Symbol('landfall error listeners')

declare module 'fastify' {
  interface FastifyInstance {
    [listeners]?: ErrorListener[]
  }
}

/** Calls `listener` for every error that `app` and scopes within it answer with, in every protocol. `listener` must not throw. */
export function onErrorAnswered(app: FastifyInstance, listener: ErrorListener): void {
  if (app[listeners]) app[listeners].push(listener)
  else app.decorate(listeners, [listener])
}

/** Calls the listeners of the scope in which `request` is answered. */
export function reportError(error: UploadError, request: FastifyRequest): void {
  for (const listener of request.server[listeners] ?? []) listener(error, request)
}

/** The authenticated actor of the request; `null` before authentication or without it. */
export function actorIfKnown(request: FastifyRequest): Actor | null {
  try {
    return request.actor ?? null
  } catch {
    return null
  }
}

/**
 * The admin route of a request, such as `PUT /v1/admin/policies`; `null` for any other route.
 * @param prefix of the scope that has the routes; it is left out
 */
export function adminRouteOf({ method, url, routeOptions }: FastifyRequest, prefix: string): string | null {
  const base = `${prefix}/v1/admin`
  const isBelow = (path: string) => path === base || path.startsWith(`${base}/`)
  const route = routeOptions?.url
  if (route !== undefined) return isBelow(route) ? `${method} ${route.slice(prefix.length)}` : null
  // No route: the path is the client's text.
  return isBelow(url.replace(/[?#].*/, '')) ? `${method} /v1/admin/…` : null
}

/** The upload id that a request names in its path or in X-Upload-Id, if it is well formed. */
export function namedUpload({ params, headers }: FastifyRequest): string | null {
  const id = (params as { id?: unknown } | undefined)?.id ?? headers['x-upload-id']
  return typeof id === 'string' && isId(id) ? id : null
}
