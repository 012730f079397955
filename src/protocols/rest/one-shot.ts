import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Append, Engine } from '../../core/engine.ts'
import { isRefusal, UploadError } from '../../core/errors.ts'
import type { Upload, Wish } from '../../core/upload.ts'
import { bodySizeOf, leaveBodiesUnread } from './bodies.ts'
import { digestOf } from './digests.ts'
import { agreeWithToken } from './fields.ts'
import { readForm } from './form.ts'
import { schemas } from './schemas.ts'
import { created, mediaTypeOf } from './verbs.ts'
import { viewOf } from './views.ts'

export interface OneShotOptions {
  engine: Engine
  publicUrl: string | undefined
  /** A form that stalls between its files ends after this. Files themselves are watched by the engine. */
  bodyIdleMs: number
}

/** Whole files in one request, for those who need no resume: `PUT /files/:name` and forms. All of it arrives, or nothing stays. */
export async function oneShotPlugin(
  app: FastifyInstance,
  { engine, publicUrl, bodyIdleMs }: OneShotOptions,
): Promise<void> {
  leaveBodiesUnread(app)

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
      const sending = begin(engine, request)
      const upload = await sending.file(
        {
          filename: params.name,
          size: bodySize,
          contentType: mediaTypeOf(params.name, headers['content-type']),
          category: query.category,
        },
        { body: request.raw, bodySize, digest },
      )
      return created(reply, upload, publicUrl).send(viewOf(upload))
    },
  )

  app.post('/files', { schema: schemas.postFiles }, async (request, reply) => {
    const sending = begin(engine, request)
    const uploads: Upload[] = []
    let category: string | undefined
    try {
      await readForm(request, bodyIdleMs, {
        field(name, value) {
          if (name === 'user_id' || name === 'user_role') agreeWithToken(request.actor, { [name]: value })
          if (name !== 'category') return
          if (uploads.length > 0)
            throw new UploadError('INVALID_FIELD', 'The field category must come before the files.')
          category = value
        },
        async file(filename, contentType, body) {
          const wish = { filename, size: null, contentType: mediaTypeOf(filename, contentType), category }
          uploads.push(await sending.file(wish, { body, bodySize: null }))
        },
      })
      if (uploads.length === 0) throw new UploadError('MISSING_FIELD', 'There is no file in the form.')
    } catch (error) {
      await sending.takeBack()
      throw error
    }
    return reply.code(201).send({ uploads: uploads.map(viewOf) })
  })
}

/** The files of one request, which stand or fall together. */
function begin(engine: Engine, request: FastifyRequest) {
  const begun: Upload[] = []

  async function takeBack(): Promise<void> {
    for (const { id } of begun.splice(0)) {
      await engine.cancel(request.actor, id, { endsAppend: true }).catch((error: unknown) => {
        if (isRefusal(error, 'UPLOAD_GONE', 'UPLOAD_LOST')) return
        // It is incomplete and will expire.
        request.log.warn({ err: error, uploadId: id }, 'could not take back what a broken request left')
      })
    }
  }

  async function file(wish: Wish, { body, bodySize, digest }: Pick<Append, 'body' | 'bodySize' | 'digest'>) {
    const { actor } = request
    try {
      const upload = await engine.create(actor, { ...wish, ending: 'later' })
      begun.push(upload)
      const sent = await engine.append(actor, upload.id, { offset: 0, body, bodySize, digest, ending: 'with-body' })
      if (sent.state === 'completed') return sent
      throw new UploadError('INVALID_REQUEST', 'The file did not arrive whole. Please send it again.')
    } catch (error) {
      await takeBack()
      throw error
    }
  }

  return { file, takeBack }
}
