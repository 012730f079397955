import type { Server } from '@tus/server'
import type { FastifyInstance } from 'fastify'

/** Mounts @tus/server on Fastify in the way its documentation shows, with Fastify's own logging on. */
export async function serveTus(app: FastifyInstance, tus: Server): Promise<void> {
  app.addContentTypeParser('application/offset+octet-stream', (_request, _payload, done) => done(null))
  app.all('/files', (request, reply) => {
    void tus.handle(request.raw, reply.raw)
  })
  app.all('/files/*', (request, reply) => {
    void tus.handle(request.raw, reply.raw)
  })
  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
}
