import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { actAs } from '../../core/access/access.ts'
import type { BodyGate } from '../../core/body/body-gate.ts'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError, UploadError } from '../../core/errors/error.ts'
import { type Actor, type CreateUpload, ownerKey, type Upload } from '../../core/upload.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { viewUpload } from '../../http/api/upload-view.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { isRole, isUser } from '../../http/identity/claims.ts'
import { ignoreUnusableTypes } from '../../http/type-hints.ts'
import { bodySizeOf, leaveBodiesUnread } from './bodies.ts'
import { digestOf } from './digests.ts'
import { readForm } from './form.ts'
import { created, mediaTypeOf } from './handlers.ts'
import { schemas } from './single-request-schemas.ts'

export interface SingleRequestOptions {
  engine: Engine
  publicUrl?: string | undefined
  /** The address of an upload, as protocols give it out. */
  urlOf: (id: string, request: FastifyRequest) => string
  /** Where browsers reach a finished object, if anywhere. */
  objectUrlOf: (key: string) => string | null
  /** A form that stalls between its files ends after this. Files themselves are watched by the engine. */
  bodyIdleMs: number
  /** How many bodies may flow; not given: any number. */
  gate?: BodyGate | undefined
}

/**
 * Whole files in one request, for those who need no resume: `PUT /files/:name` and forms. All of it arrives, or nothing stays.
 * Part of the JSON API: stands under `/v1`, and speaks as it does.
 */
export async function singleRequestPlugin(
  app: FastifyInstance,
  { engine, publicUrl, urlOf, objectUrlOf, bodyIdleMs, gate }: SingleRequestOptions,
): Promise<void> {
  const view = (upload: Upload, request: FastifyRequest) => viewUpload(upload, urlOf(upload.id, request), objectUrlOf)
  leaveBodiesUnread(app)
  ignoreUnusableTypes(app)
  sendNoStore(app)
  // There is nothing to check: a body is bytes, and what a query or a header says is for the engine to judge.
  app.setValidatorCompiler(() => () => true)

  app.put<{ Params: { name: string }; Querystring: { category?: string } }>(
    '/files/:name',
    { schema: schemas.putFile },
    async (request, reply) => {
      const { headers, params, query } = request
      if (params.name === '') throw new UploadError('MISSING_FIELD', 'The address must end with the name of the file.')
      if (headers['content-range'] !== undefined) {
        throw new UploadError('INVALID_REQUEST', 'A file is sent whole here; to send ranges, start an upload.')
      }
      const digest = digestOf(headers)
      const bodySize = bodySizeOf(headers)
      const sending = beginUpload(engine, request, reply)
      const upload = await sending.file(
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
      return created(reply, upload, publicUrl).send(view(upload, request))
    },
  )

  app.post('/files', { schema: schemas.postFiles }, async (request, reply) => {
    const sending = beginUpload(engine, request, reply)
    const uploads: Upload[] = []
    const said: Record<string, string> = {}
    try {
      const { actor } = request
      const enter = gate && (() => gate.enter({ user: ownerKey(actor), network: actor.client?.network ?? null }))
      await readForm(
        request,
        { idleMs: bodyIdleMs, enter },
        {
          field(name, value) {
            if (!['category', 'userId', 'userRole'].includes(name)) return
            if (uploads.length > 0)
              throw new UploadError('INVALID_FIELD', `The field ${name} must come before the files.`)
            said[name] = value
            ownerFor(request.actor, said)
          },
          async file(filename, contentType, body) {
            const type = mediaTypeOf(filename, contentType)
            const creation = { filename, size: null, contentType: type, category: said['category'] }
            uploads.push(await sending.file(ownerFor(request.actor, said), creation, { body, bodySize: null }))
          },
        },
      )
      if (uploads.length === 0) throw new UploadError('MISSING_FIELD', 'There is no file in the form.')
    } catch (error) {
      await sending.takeBack()
      throw error
    }
    return reply.code(201).send({ uploads: uploads.map((upload) => view(upload, request)) })
  })
}

/** Whose files a form brings. @throws UploadError INVALID_FIELD, FORBIDDEN */
function ownerFor(actor: Actor, { userId, userRole }: Record<string, string>): Actor {
  if (userId !== undefined && !isUser(userId)) throw new UploadError('INVALID_FIELD', 'userId does not name a user.')
  if (userRole !== undefined && !isRole(userRole))
    throw new UploadError('INVALID_FIELD', 'userRole does not name a role.')
  return actAs(actor, {
    ...(userId !== undefined && { user: userId }),
    ...(userRole !== undefined && { role: userRole }),
  })
}

/** The files of one request, which stand or fall together. */
function beginUpload(engine: Engine, request: FastifyRequest, reply: FastifyReply) {
  const created: Upload[] = []
  /** Files of an earlier request that this one brings once more: not its own to take back. */
  const repeated: Upload[] = []

  async function undoCreation(): Promise<void> {
    for (const { id } of created.splice(0)) {
      await engine.cancel(request.actor, id, { endsAppend: true }).catch((error: unknown) => {
        if (isUploadError(error, 'UPLOAD_GONE', 'UPLOAD_LOST')) return
        engine.markAnswerLost(id, null)
        // It is incomplete and will expire, or complete in a moment and found when it is sent again.
        request.log.warn({ err: error, uploadId: id }, 'could not take back what a broken request left')
      })
    }
    for (const { id, offset } of repeated.splice(0)) engine.markAnswerLost(id, offset)
  }

  async function file(
    owner: Actor,
    creation: CreateUpload,
    { body, bodySize, digest }: Pick<AppendRequest, 'body' | 'bodySize' | 'digest'>,
  ) {
    try {
      const upload = await engine.create(owner, { ...creation, ending: 'later', withBody: true })
      created.push(upload)
      let known: Upload = upload
      const answersNow = whenAnswerLost(request, reply, (wasWritten) =>
        engine.markAnswerLost(known.id, wasWritten ? known.offset : null),
      )
      const chunk: AppendRequest = { offset: 0, body, bodySize, digest, ending: 'with-body', repeats: upload.repeats }
      known = await engine.append(request.actor, upload.id, chunk)
      answersNow()
      if (known.id !== upload.id) repeated.push(known)
      if (known.state === 'completed') return known
      throw new UploadError('INVALID_REQUEST', 'The file did not arrive whole. Please send it again.')
    } catch (error) {
      await undoCreation()
      throw error
    }
  }

  return { file, takeBack: undoCreation }
}
