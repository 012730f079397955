import type { FastifyInstance } from 'fastify'

/** Forbids caches to store the answers of this scope, because they belong to one user or are soon out of date. */
export function sendNoStore(app: FastifyInstance): void {
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}
