import type { FastifyInstance } from 'fastify'
import { readMediaType } from '../core/media/media-type.ts'

/**
 * Makes a Content-Type that is no media type (`undefined`, `image`) one that is not there, on every route of `app`: where it describes a
 * file it is a hint, and Fastify would refuse the request over it. Routes that demand a type still miss theirs.
 */
export function ignoreUnusableTypes(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw: { headers } }) => {
    const type = headers['content-type']
    if (type !== undefined && readMediaType(type) === null) delete headers['content-type']
  })
}
