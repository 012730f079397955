import type { FastifyReply, FastifyRequest } from 'fastify'
import { lookup } from 'mime-types'
import { completeFields, initFields } from '../../contract/chunks.ts'
import { actAs } from '../../core/access/access.ts'
import type { Engine } from '../../core/engine.ts'
import { isUploadError } from '../../core/errors/error.ts'
import { readMediaType } from '../../core/media/media-type.ts'
import type { Upload } from '../../core/upload.ts'
import { bodySizeOf } from '../../http/body/length.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { type ResumeTokens, resumeHeader } from '../../http/identity/resume.ts'
import { addressFor } from '../../http/location.ts'
import { digestOf } from './digests.ts'
import { listedParts, namedUser, partNumberOf, readFields } from './fields.ts'
import { completedOf, createdOf, statusOf, unquoteEtag } from './views.ts'

/** The handlers of the current and the legacy routes, which differ only in where a request has the upload id. */
export function createHandlers(engine: Engine, publicUrl: string | undefined, resumeTokens?: ResumeTokens) {
  return {
    async init(request: FastifyRequest, reply: FastifyReply) {
      const { actor, body } = request
      const fields = readFields(initFields, body)
      const owner = actAs(actor, namedUser(fields))
      const upload = await engine.create(owner, {
        filename: fields.file_name,
        size: fields.total_size,
        contentType: mediaTypeOf(fields.file_name, fields.content_type ?? undefined),
        category: fields.category ?? undefined,
        fingerprint: fields.fingerprint,
        // The client splits the file by the chunk_size in this answer.
        kind: 'parted',
        ending: 'later',
      })
      whenAnswerLost(request, reply, (wasWritten) =>
        engine.markAnswerLost(upload.id, wasWritten ? upload.offset : null),
      )
      answerCreated(reply, upload, publicUrl)
      if (!resumeTokens) return reply.send(createdOf(upload))
      const token = resumeTokens(owner, upload)
      return reply.header(resumeHeader, token).send({ ...createdOf(upload), resume_token: token })
    },

    async chunk(request: FastifyRequest, reply: FastifyReply, id: string) {
      const number = partNumberOf(request.headers)
      const { etag, size } = await engine.uploadPart(request.actor, id, {
        number,
        body: request.raw,
        bodySize: bodySizeOf(request.headers),
        digest: digestOf(request.headers),
      })
      reply.header('etag', `"${unquoteEtag(etag)}"`)
      return { upload_id: id, chunk_index: number - 1, status: 'uploaded' as const, size, etag: unquoteEtag(etag) }
    },

    async complete({ actor, body }: FastifyRequest, reply: FastifyReply, id: string) {
      const parts = listedParts(readFields(completeFields, body))
      const upload = await engine.complete(actor, id, parts)
      if (upload.etag !== null) reply.header('etag', `"${upload.etag}"`)
      return completedOf(upload)
    },

    async status({ actor }: FastifyRequest, id: string) {
      return statusOf(await engine.listParts(actor, id))
    },

    /** Unlike DELETE of the upload, this never deletes a complete file. A repeated request gets the same answer. */
    async cancel({ actor }: FastifyRequest, id: string) {
      await engine.cancel(actor, id, { sparesCompleted: true }).catch((error: unknown) => {
        if (!isUploadError(error, 'UPLOAD_GONE')) throw error
      })
      return { upload_id: id, status: 'cancelled' as const }
    },
  }
}

/** Answers 201, with the URL of the upload. */
export function answerCreated(
  reply: FastifyReply,
  { id }: Pick<Upload, 'id'>,
  publicUrl: string | undefined,
): FastifyReply {
  return reply.code(201).header('location', addressFor(reply.request, `/v1/uploads/${id}`, publicUrl))
}

// curl sends this type for a body without `Content-Type`. No file has it.
const curlDefaultType = 'application/x-www-form-urlencoded'

/** The media type that the client declared; without a valid one, that of the file name's extension. */
export function mediaTypeOf(filename: string, declared: string | undefined): string {
  const type = readMediaType(declared ?? '')
  return type === null || type === curlDefaultType ? lookup(filename) || '' : type
}
