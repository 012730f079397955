import type { FastifyInstance } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import type { JsonBodyOptions } from '../../http/connection/json-bodies.ts'
import type { ResumeTokens } from '../../http/identity/resume.ts'
import { answerInRest } from './answers.ts'
import { leaveBodiesUnread, readFields, readOnlyOfOwners } from './bodies.ts'
import { uploadIdOf } from './fields.ts'
import { createHandlers } from './handlers.ts'
import { schemas } from './schemas.ts'

export interface RestOptions {
  engine: Engine
  /** What stands before `Location`: the public URL, or nothing for a relative one. */
  publicUrl?: string | undefined
  /** Makes the token with which whoever begins an upload can go on with it. */
  resumeTokens?: ResumeTokens | undefined
  /** How bodies of fields are read. Chunks are watched by the engine. */
  json: JsonBodyOptions
}

interface ById {
  Params: { id: string }
}

/**
 * Uploads in numbered chunks: begin, send chunks in any order, complete. The contract of the older clients, with the upload in the
 * address. Stands under `/v1`, where `request.actor` is known.
 */
export async function restPlugin(
  app: FastifyInstance,
  { engine, publicUrl, resumeTokens, json }: RestOptions,
): Promise<void> {
  const verbs = createHandlers(engine, publicUrl, resumeTokens)
  const config = { takesResumeTokens: true }
  speakRest(app)

  await app.register(async (scope) => {
    readFields(scope, json)
    readOnlyOfOwners(scope, engine)
    scope.post('/uploads/init', { schema: schemas.init }, verbs.init)
    scope.post<ById>(
      '/uploads/:id/complete',
      { schema: schemas.complete, config: { ...config, verb: 'complete' } },
      async (request, reply) =>
        verbs.complete(request, reply, uploadIdOf(request.headers, { body: request.body, inPath: request.params.id })),
    )
    scope.get<ById>('/uploads/:id/status', { schema: schemas.status, config }, async (request) =>
      verbs.status(request, request.params.id),
    )
    scope.route<ById>({
      method: ['POST', 'DELETE'],
      url: '/uploads/:id/cancel',
      schema: schemas.cancel,
      config: { ...config, verb: 'cancel' },
      handler: async (request) =>
        verbs.cancel(request, uploadIdOf(request.headers, { body: request.body, inPath: request.params.id })),
    })
  })

  await app.register(async (scope) => {
    leaveBodiesUnread(scope)
    scope.route<ById>({
      method: ['PUT', 'POST'],
      url: '/uploads/:id/chunk',
      schema: schemas.chunk,
      config,
      handler: async (request, reply) =>
        verbs.chunk(request, reply, uploadIdOf(request.headers, { inPath: request.params.id })),
    })
  })
}

/** What every route of this dialect has: its refusals, its own reading of fields, and answers that nobody keeps. */
export function speakRest(app: FastifyInstance): void {
  app.setErrorHandler(answerInRest)
  // Fields are read by `fields.ts`, in this dialect's codes and without turning one type into another.
  app.setValidatorCompiler(() => () => true)
  sendNoStore(app)
}
