import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isRole, isUser } from '../../contract/names.ts'
import { actAs } from '../../core/access/access.ts'
import type { BodyGate } from '../../core/body/body-gate.ts'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import { type Actor, type CreateUpload, ownerKey, type SentUpload, type Upload } from '../../core/upload.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { viewUpload } from '../../http/api/upload-view.ts'
import { bodySizeOf } from '../../http/body/length.ts'
import { leaveBodiesUnread } from '../../http/body/unread-body.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { ignoreUnusableTypes } from '../../http/type-hints.ts'
import { digestOf } from './digests.ts'
import { readForm } from './form.ts'
import { answerCreated, mediaTypeOf } from './handlers.ts'
import { schemas } from './single-request-schemas.ts'

export interface SingleRequestOptions {
  engine: Engine
  publicUrl?: string | undefined
  /** The URL of an upload, as in the other protocols. */
  urlOf: (id: string, request: FastifyRequest) => string
  /** The URL at which browsers can load a complete object, or `null`. */
  objectUrlOf: (key: string) => string | null
  /** A form that stalls between its files fails after this. The engine limits the files themselves. */
  bodyIdleMs: number
  /** Limits the number of concurrent bodies; not given: no limit. */
  gate?: BodyGate | undefined
}

/**
 * Whole files in one request, for clients that need not resume: `PUT /files/:name` and forms. The server stores all of a request or
 * nothing. Part of the JSON API: to be registered under `/v1`, with the errors of that API.
 */
export async function singleRequestPlugin(
  app: FastifyInstance,
  { engine, publicUrl, urlOf, objectUrlOf, bodyIdleMs, gate }: SingleRequestOptions,
): Promise<void> {
  const view = (upload: Upload, request: FastifyRequest) => viewUpload(upload, urlOf(upload.id, request), objectUrlOf)
  leaveBodiesUnread(app)
  ignoreUnusableTypes(app)
  sendNoStore(app)
  // Fastify has nothing to validate: bodies are bytes, and the engine checks the values in queries and headers.
  app.setValidatorCompiler(() => () => true)

  app.put<{ Params: { name: string }; Querystring: { category?: string } }>(
    '/files/:name',
    { schema: schemas.putFile, config: { actions: ['create'] } },
    async (request, reply) => {
      const { headers, params, query } = request
      if (params.name === '') throw errors.filenameMissing()
      if (headers['content-range'] !== undefined) throw errors.rangesNotSupported()
      const digest = digestOf(headers)
      const bodySize = bodySizeOf(headers)
      const batch = createBatch(engine, request, reply)
      const upload = await batch.upload(
        request.actor,
        {
          filename: params.name,
          size: bodySize,
          contentType: mediaTypeOf(params.name, headers['content-type']),
          category: query.category,
        },
        { body: request.raw, bodySize, digest },
      )
      if (upload.etag !== null) reply.header('etag', `"${upload.etag}"`)
      return answerCreated(reply, upload, publicUrl).send(view(upload, request))
    },
  )

  app.post('/files', { schema: schemas.postFiles, config: { actions: ['create'] } }, async (request, reply) => {
    const batch = createBatch(engine, request, reply)
    const uploads: Upload[] = []
    const fields: Record<string, string> = {}
    try {
      const { actor } = request
      const enter = gate && (() => gate.enter({ user: ownerKey(actor), network: actor.client?.network ?? null }))
      await readForm(
        request,
        { idleMs: bodyIdleMs, enter },
        {
          field(name, value) {
            if (!['category', 'userId', 'userRole'].includes(name)) return
            if (uploads.length > 0) throw errors.formFieldAfterFile({ field: name })
            fields[name] = value
            ownerFor(request.actor, fields)
          },
          async file(filename, contentType, body) {
            const type = mediaTypeOf(filename, contentType)
            const creation = { filename, size: null, contentType: type, category: fields['category'] }
            uploads.push(await batch.upload(ownerFor(request.actor, fields), creation, { body, bodySize: null }))
          },
        },
      )
      if (uploads.length === 0) throw errors.formWithoutFile()
    } catch (error) {
      await batch.undo()
      throw error
    }
    return reply.code(201).send({ uploads: uploads.map((upload) => view(upload, request)) })
  })
}

/** The owner of the files in a form. @throws UploadError INVALID_FIELD, FORBIDDEN */
function ownerFor(actor: Actor, { userId, userRole }: Record<string, string>): Actor {
  if (userId !== undefined && !isUser(userId)) throw errors.formUserInvalid()
  if (userRole !== undefined && !isRole(userRole)) throw errors.formRoleInvalid()
  return actAs(actor, {
    ...(userId !== undefined && { user: userId }),
    ...(userRole !== undefined && { role: userRole }),
  })
}

/** The uploads of one request. An error in one of them undoes all of them. */
function createBatch(engine: Engine, request: FastifyRequest, reply: FastifyReply) {
  const created: Upload[] = []
  /** Uploads of an earlier request that this one repeats. They belong to that request, so this one must not cancel them. */
  const repeated: Upload[] = []

  async function undo(): Promise<void> {
    for (const { id } of created.splice(0)) {
      await engine.cancel(request.actor, id, { endsAppend: true }).catch((error: unknown) => {
        if (isUploadError(error, 'UPLOAD_GONE', 'UPLOAD_LOST')) return
        engine.markAnswerLost(id, null)
        // An incomplete upload will expire. One that still completes is found when the client sends the file again.
        request.log.warn({ err: error, uploadId: id }, 'could not cancel an upload of a failed request')
      })
    }
    for (const { id, offset } of repeated.splice(0)) engine.markAnswerLost(id, offset)
  }

  async function upload(
    owner: Actor,
    creation: CreateUpload & Partial<SentUpload>,
    { body, bodySize, digest }: Pick<AppendRequest, 'body' | 'bodySize' | 'digest'>,
  ) {
    try {
      const receive = (empty: Upload): AppendRequest => {
        created.push(empty)
        latest = empty
        checkConnection = whenAnswerLost(request, reply, (wasWritten) =>
          engine.markAnswerLost(latest.id, wasWritten ? latest.offset : null),
        )
        return { offset: 0, body, bodySize, digest, ending: 'with-body' }
      }
      let latest: Upload
      let checkConnection = () => {}
      latest = await engine.createWithBody(owner, creation, receive, request.actor)
      checkConnection()
      if (!created.some(({ id }) => id === latest.id)) repeated.push(latest)
      if (latest.state === 'completed') return latest
      throw errors.fileIncomplete()
    } catch (error) {
      await undo()
      throw error
    }
  }

  return { upload, undo }
}
