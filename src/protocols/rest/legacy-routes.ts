import type { FastifyInstance } from 'fastify'
import { leaveBodiesUnread, readFields, readOnlyOfOwners } from './bodies.ts'
import { uploadIdOf } from './fields.ts'
import { createHandlers } from './handlers.ts'
import { type RestOptions, speakRest } from './plugin.ts'
import { schemas } from './schemas.ts'

/** The contract of the older clients as they spell it: the upload stands in the header `X-Upload-Id` or in the body. Stands under `/api/upload`. */
export async function legacyRoutesPlugin(
  app: FastifyInstance,
  { engine, publicUrl, resumeTokens, json }: RestOptions,
): Promise<void> {
  const verbs = createHandlers(engine, publicUrl, resumeTokens)
  const config = { takesResumeTokens: true }
  speakRest(app)

  await app.register(async (scope) => {
    readFields(scope, json)
    readOnlyOfOwners(scope, engine)
    scope.post('/init', { schema: schemas.older.init }, verbs.init)
    scope.post(
      '/complete',
      { schema: schemas.older.complete, config: { ...config, verb: 'complete' } },
      async (request, reply) => verbs.complete(request, reply, uploadIdOf(request.headers, { body: request.body })),
    )
    scope.get<{ Params: { id: string } }>('/:id/status', { schema: schemas.older.status, config }, async (request) =>
      verbs.status(request, request.params.id),
    )
    scope.route({
      method: ['POST', 'DELETE'],
      url: '/cancel',
      schema: schemas.older.cancel,
      config: { ...config, verb: 'cancel' },
      handler: async (request) => verbs.cancel(request, uploadIdOf(request.headers, { body: request.body })),
    })
  })

  await app.register(async (scope) => {
    leaveBodiesUnread(scope)
    scope.route({
      method: ['PUT', 'POST'],
      url: '/chunk',
      schema: schemas.older.chunk,
      config,
      handler: async (request, reply) => verbs.chunk(request, reply, uploadIdOf(request.headers, {})),
    })
  })
}
