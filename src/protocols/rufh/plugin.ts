import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Limits } from '../../core/engine.ts'
import { isUploadError, UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { describeOnly } from '../../http/api/route-schema.ts'
import { leaveBodiesUnread } from '../../http/body/unread-body.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { logError, toUploadError } from '../../http/errors.ts'
import { ignoreUnusableTypes } from '../../http/type-hints.ts'
import { answerOffset } from './answers.ts'
import { appendToUpload } from './append.ts'
import { endConnection, mustEndConnection } from './connection.ts'
import { createUpload } from './create.ts'
import { answerOptions } from './discovery.ts'
import { addRufhConstraint, rufhConstraint } from './dispatch.ts'
import type { RufhOptions, UploadRequest } from './options.ts'
import { toProblem } from './problems.ts'
import { overrideSchema, schemas } from './schemas.ts'
import { decorateRequests } from './state.ts'

/**
 * Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload), interop versions 3 to 10, beside the other protocols at
 * `path`. Needs `request.actor`.
 */
export async function rufhPlugin(app: FastifyInstance, options: RufhOptions): Promise<void> {
  const { engine, path } = options
  const uploadPath = `${path}/:id`
  const constraints = rufhConstraint

  addRufhConstraint(app)
  decorateRequests(app)
  // The drafts ask for this in an offset retrieval. A cached 404 or 410 would mislead clients as much as a cached offset.
  sendNoStore(app)
  ignoreUnusableTypes(app)
  leaveBodiesUnread(app)
  app.addHook('onRequest', async ({ dialect }, reply) => {
    if (dialect.isNamed) reply.header('upload-draft-interop-version', String(dialect.version))
  })
  describeOnly(app)
  app.setErrorHandler((thrown, request, reply) => answerError(thrown, request, reply))

  // Many clients are configured with a slash at the end of the endpoint.
  for (const url of [path, `${path}/`]) {
    app.route({
      method: ['POST', 'PUT'],
      url,
      schema: url === path ? schemas.create : { hide: true },
      constraints,
      config: { actions: ['create'] },
      handler: (request, reply) => createUpload(options, request, reply),
    })
  }
  app.route({
    method: 'PATCH',
    url: uploadPath,
    schema: schemas.append,
    constraints,
    config: { actions: ['append'] },
    handler: (request: UploadRequest, reply) => appendToUpload(options, request, reply),
  })
  app.route({
    method: ['HEAD', 'GET'],
    url: uploadPath,
    schema: schemas.retrieve,
    constraints,
    config: { actions: ['read'] },
    exposeHeadRoute: false,
    handler: retrieveOffset,
  })
  app.route({
    method: 'DELETE',
    url: uploadPath,
    schema: schemas.cancel,
    constraints,
    config: { actions: ['cancel'] },
    handler: cancelUpload,
  })
  app.route({
    method: 'POST',
    url: uploadPath,
    schema: overrideSchema,
    constraints,
    config: { actions: ['append', 'cancel'] },
    handler: overrideMethod,
  })
  app.route({ method: 'PUT', url: uploadPath, schema: { hide: true }, constraints, handler: refuse })
  for (const url of [path, uploadPath]) {
    app.route({
      method: 'OPTIONS',
      url,
      schema: { ...schemas.options, ...(url === uploadPath && { params: schemas.append.params }) },
      constraints,
      handler: (request, reply) => answerOptions(options, request, reply),
    })
  }

  /** "Offset Retrieval" */
  async function retrieveOffset(request: UploadRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { actor, params, dialect } = request
    if (request.method === 'GET' && !dialect.retrievesByGet) throw notAllowed(reply)
    if (dialect.strictHeaders) rejectUploadHeaders(request)
    request.canResume = true
    const upload = await engine.status(actor, params.id, dialect.completesAtFullLength ? 'at-size' : 'later')
    return answerOffset(reply, { dialect, upload })
  }

  /** "Upload Cancellation" */
  async function cancelUpload(request: UploadRequest, reply: FastifyReply): Promise<FastifyReply> {
    if (request.dialect.strictHeaders) rejectUploadHeaders(request)
    const { id } = request.params
    await engine.cancel(request.actor, id)
    whenAnswerLost(request, reply, () => engine.markAnswerLost(id, null))
    return reply.code(204).send()
  }

  /** In its RUFH modes, too, tus-js-client sends POST with X-HTTP-Method-Override where PATCH cannot be sent. */
  async function overrideMethod(request: UploadRequest, reply: FastifyReply): Promise<FastifyReply> {
    const method = request.headers['x-http-method-override']
    if (method === 'PATCH') return appendToUpload(options, request, reply)
    if (method === 'DELETE') return cancelUpload(request, reply)
    throw notAllowed(reply)
  }

  /** PUT never overrides its method. */
  async function refuse(_request: FastifyRequest, reply: FastifyReply): Promise<never> {
    throw notAllowed(reply)
  }

  async function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { dialect } = request
    const error = toUploadError(thrown)
    logError(request, error)
    if (mustEndConnection(request, error)) return endConnection(request, reply)
    const { status, headers, body } = toProblem(
      await withOffset(error, request, reply),
      dialect,
      limitsFor(error, request),
    )
    return reply.code(status).headers(headers).type('application/problem+json').send(body)
  }

  /** The limits for a 413: those of the upload, as the server announced them, or those for a new upload before there is one. */
  function limitsFor({ status, facts }: UploadError, request: FastifyRequest): Pick<Limits, 'maxSize'> | null {
    if (status !== 413) return null
    const { id } = request.params as { id?: string }
    return id !== undefined && typeof facts.maxSize === 'number'
      ? { maxSize: facts.maxSize }
      : engine.limits(request.actor)
  }

  /** Until draft -05 every answer about an existing upload has its offset, errors too. */
  async function withOffset(error: UploadError, request: FastifyRequest, reply: FastifyReply): Promise<UploadError> {
    const id = uploadIdOf(request, reply)
    const keepsUpload = error.status >= 400 && error.status < 500 && ![401, 404, 410].includes(error.status)
    if (id === undefined || !keepsUpload || error.facts.offset !== undefined) return error
    if (request.method === 'OPTIONS' || !request.dialect.strictHeaders) return error
    try {
      const { offset } = await engine.get(request.actor, id)
      return new UploadError(error.code, error.message, { ...error.facts, offset })
    } catch (readError) {
      if (isUploadError(readError)) return error
      throw readError
    }
  }
}

/** Until draft -05 a request for the offset, or a cancellation, must not carry the headers that an answer has. */
function rejectUploadHeaders({ headers }: FastifyRequest): void {
  const header = ['upload-offset', 'upload-complete', 'upload-incomplete', 'upload-length'].find(
    (name) => name in headers,
  )
  if (header) throw errors.fieldNotAllowed({ header })
}

/** The upload that the URL of the request names, or that the request created. */
function uploadIdOf({ params }: FastifyRequest, reply: FastifyReply): string | undefined {
  const { id } = (params ?? {}) as { id?: string }
  return id ?? reply.getHeader('location')?.toString().split('/').at(-1)
}

function notAllowed(reply: FastifyReply): UploadError {
  reply.header('allow', 'OPTIONS, HEAD, GET, PATCH, DELETE')
  return errors.rufhMethodNotAllowed()
}
