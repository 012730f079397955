import type { FastifyInstance } from 'fastify'

/** No cache keeps what this scope answers: it is somebody's own, or may be otherwise in a moment. */
export function sendNoStore(app: FastifyInstance): void {
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
}
