import type { FastifyInstance } from 'fastify'
import { UploadError } from '../../core/errors.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import { isFromThisMachine } from './this-machine.ts'

export interface DevTokenOptions {
  /** A token for `actor`, to be handed to the page. */
  mint: (actor: Actor) => Promise<string>
  /** Who the page is when it does not say. */
  developer: Actor
}

/**
 * `GET /v1/dev-token`: the page's way in while trying out; not registered otherwise. It answers a browser on this very
 * machine and nobody else, so that a trial that listens on a network gives no tokens away.
 */
export async function devTokenPlugin(app: FastifyInstance, { mint, developer }: DevTokenOptions): Promise<void> {
  app.get<{ Querystring: { user?: string; role?: string; admin?: string } }>(
    '/v1/dev-token',
    async (request, reply) => {
      if (!isFromThisMachine(request)) {
        throw new UploadError(
          'FORBIDDEN',
          'Development tokens are only given to this machine. Use the one the server printed.',
        )
      }
      const { user = developer.id, role = developer.role, admin } = request.query
      if (!/^[\w.@-]{1,64}$/.test(user) || !/^[\w-]{1,64}$/.test(role)) {
        throw new UploadError('INVALID_REQUEST', 'A user or role has letters, digits and . @ _ - only.')
      }
      reply.header('cache-control', 'no-store')
      return { token: await mint(userOf(user, role, { isAdmin: admin === 'true' })), user, role }
    },
  )
}
