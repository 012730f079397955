import type { FastifyInstance } from 'fastify'
import { UploadError } from '../../core/errors.ts'

/** Lets only administrators pass in this scope, whose hooks have put `request.actor` on every request. */
export function adminOnly(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    // A browser asks with OPTIONS before it sends its token.
    if (request.method !== 'OPTIONS' && !request.actor.isAdmin)
      throw new UploadError('FORBIDDEN', 'Only administrators may do this.')
  })
}
