import type { FastifyInstance, FastifyRequest } from 'fastify'

/** A property of requests: read by a getter, or a value that every request begins with. */
export type RequestProperty = { getter(this: FastifyRequest): unknown } | { value: unknown }

/**
 * Gives the requests of `app` the property `name`, as `decorateRequest` does. The app around may have a decorator of that name, of which
 * Fastify allows no second one: then each request of this scope gets a property of its own, and other requests keep that of the app.
 */
export function decorateOwnRequests(app: FastifyInstance, name: string, property: RequestProperty): void {
  if (!app.hasRequestDecorator(name)) {
    if ('value' in property) app.decorateRequest(name, property.value as never)
    else app.decorateRequest(name, { getter: property.getter } as never)
    return
  }
  app.addHook('onRequest', async (request) => {
    Object.defineProperty(
      request,
      name,
      'value' in property
        ? { value: property.value, writable: true, configurable: true }
        : { get: () => property.getter.call(request), configurable: true },
    )
  })
}
