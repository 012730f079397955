import type { FastifyInstance } from 'fastify'
import { readMediaType } from '../core/media/media-type.ts'

/**
 * Removes a Content-Type that is not a media type (`undefined`, `image`) from every request of `app`. The type of a file is only a hint,
 * and Fastify would refuse the request because of it. Routes that require a type still refuse a request without one.
 */
export function ignoreUnusableTypes(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw: { headers } }) => {
    const type = headers['content-type']
    if (type !== undefined && readMediaType(type) === null) delete headers['content-type']
  })
}
