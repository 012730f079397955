import type { FastifyInstance } from 'fastify'
import { authorizeBeforeBody, leaveBodiesUnread, parseJson } from './bodies.ts'
import { uploadIdOf } from './fields.ts'
import { createHandlers } from './handlers.ts'
import { configureRest, type RestOptions } from './plugin.ts'
import { schemas } from './schemas.ts'

/** The routes under `/api/upload` for older clients: the header `X-Upload-Id` or the body names the upload. */
export async function legacyRoutesPlugin(
  app: FastifyInstance,
  { engine, publicUrl, resumeTokens, json }: RestOptions,
): Promise<void> {
  const handlers = createHandlers(engine, publicUrl, resumeTokens)
  configureRest(app)

  await app.register(async (scope) => {
    parseJson(scope, json)
    authorizeBeforeBody(scope, engine)
    scope.post('/init', { schema: schemas.legacy.init, config: { actions: ['create'] } }, handlers.init)
    scope.post(
      '/complete',
      { schema: schemas.legacy.complete, config: { actions: ['complete'] } },
      async (request, reply) => handlers.complete(request, reply, uploadIdOf(request.headers, { body: request.body })),
    )
    scope.get<{ Params: { id: string } }>(
      '/:id/status',
      { schema: schemas.legacy.status, config: { actions: ['read'] } },
      async (request) => handlers.status(request, request.params.id),
    )
    scope.route({
      method: ['POST', 'DELETE'],
      url: '/cancel',
      schema: schemas.legacy.cancel,
      config: { actions: ['cancel'] },
      handler: async (request) => handlers.cancel(request, uploadIdOf(request.headers, { body: request.body })),
    })
  })

  await app.register(async (scope) => {
    leaveBodiesUnread(scope)
    scope.route({
      method: ['PUT', 'POST'],
      url: '/chunk',
      schema: schemas.legacy.chunk,
      config: { actions: ['append'] },
      handler: async (request, reply) => handlers.chunk(request, reply, uploadIdOf(request.headers, {})),
    })
  })
}
