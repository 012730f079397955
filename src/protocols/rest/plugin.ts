import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import type { JsonBodyOptions } from '../../http/body/json-bodies.ts'
import { leaveBodiesUnread } from '../../http/body/unread-body.ts'
import type { ResumeTokens } from '../../http/identity/resume.ts'
import { answerRestError } from './answers.ts'
import { authorizeBeforeBody, parseJson } from './bodies.ts'
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

/**
 * Uploads in numbered chunks: the client creates an upload, sends its chunks in any order, and completes it. To be registered under
 * `/v1`, where `request.actor` is known.
 */
export async function restPlugin(app: FastifyInstance, options: RestOptions): Promise<void> {
  await addRoutes(app, options, schemas.current, {
    init: '/uploads/init',
    chunk: '/uploads/:id/chunk',
    complete: '/uploads/:id/complete',
    status: '/uploads/:id/status',
    cancel: '/uploads/:id/cancel',
  })
}

/** The same for older clients, to be registered under `/api/upload`: the header `X-Upload-Id` or the body names the upload. */
export async function legacyRestPlugin(app: FastifyInstance, options: RestOptions): Promise<void> {
  await addRoutes(app, options, schemas.legacy, {
    init: '/init',
    chunk: '/chunk',
    complete: '/complete',
    status: '/:id/status',
    cancel: '/cancel',
  })
}

type RouteName = keyof typeof schemas.current

async function addRoutes(
  app: FastifyInstance,
  { engine, publicUrl, resumeTokens, json }: RestOptions,
  docs: Record<RouteName, object>,
  urls: Record<RouteName, string>,
): Promise<void> {
  const handlers = createHandlers(engine, publicUrl, resumeTokens)
  app.setErrorHandler(answerRestError)
  // `fields.ts` validates fields, with the error codes of this dialect and without coercing types.
  app.setValidatorCompiler(() => () => true)
  sendNoStore(app)

  await app.register(async (scope) => {
    parseJson(scope, json)
    authorizeBeforeBody(scope, engine)
    scope.post(urls.init, { schema: docs.init, config: { actions: ['create'] } }, handlers.init)
    scope.post(urls.complete, { schema: docs.complete, config: { actions: ['complete'] } }, async (request, reply) =>
      handlers.complete(request, reply, idOf(request)),
    )
    scope.get<{ Params: { id: string } }>(
      urls.status,
      { schema: docs.status, config: { actions: ['read'] } },
      async (request) => handlers.status(request, request.params.id),
    )
    scope.route({
      method: ['POST', 'DELETE'],
      url: urls.cancel,
      schema: docs.cancel,
      config: { actions: ['cancel'] },
      handler: async (request) => handlers.cancel(request, idOf(request)),
    })
  })

  await app.register(async (scope) => {
    leaveBodiesUnread(scope)
    scope.route({
      method: ['PUT', 'POST'],
      url: urls.chunk,
      schema: docs.chunk,
      config: { actions: ['append'] },
      handler: async (request, reply) => handlers.chunk(request, reply, idOf(request)),
    })
  })
}

function idOf({ headers, params, body }: FastifyRequest): string {
  return uploadIdOf(headers, { body, inPath: (params as { id?: string }).id })
}
