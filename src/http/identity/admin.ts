import type { FastifyInstance } from 'fastify'
import { UploadError } from '../../core/errors/error.ts'
import type { Actor } from '../../core/upload.ts'

/*
 * Admin routes are closed to admins with a tenant unless they say that they are open: a new route that has no notion of tenants shows
 * them nothing of others.
 */

/** Lets only administrators without a tenant pass in this scope, whose hooks have put `request.actor` on every request. */
export function adminOnly(app: FastifyInstance): void {
  letPass(app, ({ isAdmin, tenant }) => {
    if (!isAdmin) return 'Only administrators may do this.'
    return tenant === null ? null : 'This is about all tenants: only administrators without a tenant may do it.'
  })
}

/** Lets administrators of one tenant pass as well: every route of the scope asks `tenantWithin` or the engine what is theirs. */
export function tenantAdminsToo(app: FastifyInstance): void {
  letPass(app, ({ isAdmin }) => (isAdmin ? null : 'Only administrators may do this.'))
}

function letPass(app: FastifyInstance, refusalOf: (actor: Actor) => string | null): void {
  app.addHook('onRequest', async (request) => {
    // A browser asks with OPTIONS before it sends its token.
    const error = request.method === 'OPTIONS' ? null : refusalOf(request.actor)
    if (error !== null) throw new UploadError('FORBIDDEN', error)
  })
}
