import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Limits } from '../../core/engine.ts'
import { isUploadError, UploadError } from '../../core/errors/error.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { logError, toUploadError } from '../../http/errors.ts'
import { ignoreUnusableTypes } from '../../http/type-hints.ts'
import { answerState } from './answers.ts'
import { appendToUpload } from './append.ts'
import { endConnection, markCanResume, mustEndConnection } from './connection.ts'
import { createUpload } from './create.ts'
import { answerOptions } from './discovery.ts'
import { addRufhConstraint, rufhConstraint } from './dispatch.ts'
import type { RufhOptions, UploadRequest } from './options.ts'
import { toProblem } from './problems.ts'
import { dialectOf } from './versions.ts'

/**
 * Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload), interop versions 3 to 10, beside whatever else is
 * spoken at `path`. Wants `request.actor`.
 */
export async function rufhPlugin(app: FastifyInstance, options: RufhOptions): Promise<void> {
  const { engine, path } = options
  const one = `${path}/:id`
  const constraints = rufhConstraint
  const config = { takesResumeTokens: true }

  addRufhConstraint(app)
  // Of a retrieval the draft asks for it; a 404 or 410 that a cache kept would be as wrong as an offset.
  sendNoStore(app)
  ignoreUnusableTypes(app)
  // Nothing is read here: the engine reads the raw request.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', async (request, reply) => {
    const dialect = dialectOf(request.headers)
    if (dialect.isNamed) reply.header('upload-draft-interop-version', String(dialect.version))
  })
  app.setErrorHandler((thrown, request, reply) => answerError(thrown, request, reply))

  // Many clients are given the endpoint with a slash at its end.
  for (const url of [path, `${path}/`]) {
    app.route({
      method: ['POST', 'PUT'],
      url,
      constraints,
      handler: (request, reply) => createUpload(options, request, reply),
    })
  }
  app.route({
    method: 'PATCH',
    url: one,
    constraints,
    config,
    handler: (request: UploadRequest, reply) => appendToUpload(options, request, reply),
  })
  app.route({ method: ['HEAD', 'GET'], url: one, constraints, config, exposeHeadRoute: false, handler: retrieveOffset })
  app.route({ method: 'DELETE', url: one, constraints, config, handler: cancelUpload })
  app.route({ method: ['POST', 'PUT'], url: one, constraints, config, handler: overrideMethod })
  for (const url of [path, one]) {
    app.route({
      method: 'OPTIONS',
      url,
      constraints,
      handler: (request, reply) => answerOptions(options, request, reply),
    })
  }

  /** "Offset Retrieval" */
  async function retrieveOffset(request: UploadRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { actor, headers, params } = request
    const dialect = dialectOf(headers)
    if (request.method === 'GET' && !dialect.retrievesByGet) throw notAllowed(reply)
    if (dialect.strictHeaders) rejectUploadHeaders(request)
    markCanResume(request)
    const upload = await engine.status(actor, params.id, dialect.completesAtFullLength ? 'at-size' : 'later')
    return answerState(reply, { dialect, upload })
  }

  /** "Upload Cancellation" */
  async function cancelUpload(request: UploadRequest, reply: FastifyReply): Promise<FastifyReply> {
    if (dialectOf(request.headers).strictHeaders) rejectUploadHeaders(request)
    await engine.cancel(request.actor, request.params.id)
    return reply.code(204).send()
  }

  /** tus-js-client asks like this where PATCH cannot be sent, in its RUFH modes too. A PUT here is no creation. */
  async function overrideMethod(request: UploadRequest, reply: FastifyReply): Promise<FastifyReply> {
    const method = request.method === 'POST' ? request.headers['x-http-method-override'] : undefined
    if (method === 'PATCH') return appendToUpload(options, request, reply)
    if (method === 'DELETE') return cancelUpload(request, reply)
    throw notAllowed(reply)
  }

  async function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const dialect = dialectOf(request.headers)
    const error = toUploadError(thrown)
    logError(request, error)
    if (mustEndConnection(request, error, dialect)) return endConnection(request, reply)
    const { status, headers, body } = toProblem(
      await withOffset(error, request, reply),
      dialect,
      limitsFor(error, request),
    )
    return reply.code(status).headers(headers).type('application/problem+json').send(body)
  }

  /** What a refusal of size is about: what the upload may have, as it was told, or before there is one, what may be begun. */
  function limitsFor({ status, facts }: UploadError, request: FastifyRequest): Pick<Limits, 'maxSize'> | null {
    if (status !== 413) return null
    const { id } = request.params as { id?: string }
    return id !== undefined && typeof facts.maxSize === 'number'
      ? { maxSize: facts.maxSize }
      : engine.limits(request.actor)
  }

  /** Until draft -05 every answer about an upload that is alive says how far it is, refusals too. */
  async function withOffset(refusal: UploadError, request: FastifyRequest, reply: FastifyReply): Promise<UploadError> {
    const id = aboutWhich(request, reply)
    const isAlive = refusal.status >= 400 && refusal.status < 500 && ![401, 404, 410].includes(refusal.status)
    if (id === undefined || !isAlive || refusal.facts.offset !== undefined) return refusal
    if (request.method === 'OPTIONS' || !dialectOf(request.headers).strictHeaders) return refusal
    try {
      const { offset } = await engine.get(request.actor, id)
      return new UploadError(refusal.code, refusal.message, { ...refusal.facts, offset })
    } catch (error) {
      if (isUploadError(error)) return refusal
      throw error
    }
  }
}

/** Until draft -05 a question must not bring the answer along. */
function rejectUploadHeaders({ headers }: FastifyRequest): void {
  const named = ['upload-offset', 'upload-complete', 'upload-incomplete', 'upload-length'].find(
    (name) => name in headers,
  )
  if (named) throw new UploadError('INVALID_REQUEST', `This request must not carry ${named}.`)
}

/** The upload that a request is about: the one it names, or the one it created. */
function aboutWhich({ params }: FastifyRequest, reply: FastifyReply): string | undefined {
  const { id } = (params ?? {}) as { id?: string }
  return id ?? reply.getHeader('location')?.toString().split('/').at(-1)
}

function notAllowed(reply: FastifyReply): UploadError {
  reply.header('allow', 'OPTIONS, HEAD, GET, PATCH, DELETE')
  return new UploadError('METHOD_NOT_ALLOWED', 'An upload knows no such method.')
}
