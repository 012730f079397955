import type { FastifyInstance } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import type { JsonBodyOptions } from '../../http/connection/json-bodies.ts'
import type { ResumeTokens } from '../../http/identity/resume.ts'
import { answerRestError } from './answers.ts'
import { authorizeBeforeBody, leaveBodiesUnread, parseJson } from './bodies.ts'
import { uploadIdOf } from './fields.ts'
import { createHandlers } from './handlers.ts'
import { schemas } from './schemas.ts'

export interface RestOptions {
  engine: Engine
  /** The public URL that `Location` starts with; `undefined` makes `Location` relative. */
  publicUrl?: string | undefined
  /** Makes the token with which the client that created an upload can resume it. */
  resumeTokens?: ResumeTokens | undefined
  /** How JSON bodies are read. The engine limits the bodies of chunks. */
  json: JsonBodyOptions
}

interface ById {
  Params: { id: string }
}

/**
 * Uploads in numbered chunks: the client creates an upload, sends its chunks in any order, and completes it. The same contract as the
 * legacy routes, with the upload id in the URL. To be registered under `/v1`, where `request.actor` is known.
 */
export async function restPlugin(
  app: FastifyInstance,
  { engine, publicUrl, resumeTokens, json }: RestOptions,
): Promise<void> {
  const handlers = createHandlers(engine, publicUrl, resumeTokens)
  configureRest(app)

  await app.register(async (scope) => {
    parseJson(scope, json)
    authorizeBeforeBody(scope, engine)
    scope.post('/uploads/init', { schema: schemas.init, config: { actions: ['create'] } }, handlers.init)
    scope.post<ById>(
      '/uploads/:id/complete',
      { schema: schemas.complete, config: { actions: ['complete'] } },
      async (request, reply) =>
        handlers.complete(
          request,
          reply,
          uploadIdOf(request.headers, { body: request.body, inPath: request.params.id }),
        ),
    )
    scope.get<ById>('/uploads/:id/status', { schema: schemas.status, config: { actions: ['read'] } }, async (request) =>
      handlers.status(request, request.params.id),
    )
    scope.route<ById>({
      method: ['POST', 'DELETE'],
      url: '/uploads/:id/cancel',
      schema: schemas.cancel,
      config: { actions: ['cancel'] },
      handler: async (request) =>
        handlers.cancel(request, uploadIdOf(request.headers, { body: request.body, inPath: request.params.id })),
    })
  })

  await app.register(async (scope) => {
    leaveBodiesUnread(scope)
    scope.route<ById>({
      method: ['PUT', 'POST'],
      url: '/uploads/:id/chunk',
      schema: schemas.chunk,
      config: { actions: ['append'] },
      handler: async (request, reply) =>
        handlers.chunk(request, reply, uploadIdOf(request.headers, { inPath: request.params.id })),
    })
  })
}

/** Sets up `app` for this dialect: its error codes, its own validation of fields, and answers that no cache stores. */
export function configureRest(app: FastifyInstance): void {
  app.setErrorHandler(answerRestError)
  // `fields.ts` validates fields, with the error codes of this dialect and without coercing types.
  app.setValidatorCompiler(() => () => true)
  sendNoStore(app)
}
