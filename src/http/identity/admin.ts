import type { FastifyInstance } from 'fastify'
import type { UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Actor } from '../../core/upload.ts'

/*
 * Admin routes refuse admins of a tenant unless the route opts in, so a new route that does not filter by tenant shows them nothing of
 * other tenants.
 */

/** Allows only administrators without a tenant in this scope. The auth plugin must have run before, because `request.actor` is read. */
export function adminOnly(app: FastifyInstance): void {
  checkActor(app, ({ isAdmin, tenant }) => {
    if (!isAdmin) return errors.adminsOnly()
    return tenant === null ? null : errors.globalAdminsOnly()
  })
}

/** Also allows administrators of one tenant. Every route of the scope must limit what they see, with `tenantWithin` or through the engine. */
export function tenantAdminsToo(app: FastifyInstance): void {
  checkActor(app, ({ isAdmin }) => (isAdmin ? null : errors.adminsOnly()))
}

function checkActor(app: FastifyInstance, errorOf: (actor: Actor) => UploadError | null): void {
  app.addHook('onRequest', async (request) => {
    // Browsers send no token with a preflight.
    const error = request.method === 'OPTIONS' ? null : errorOf(request.actor)
    if (error !== null) throw error
  })
}
