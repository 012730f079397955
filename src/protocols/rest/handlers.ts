import type { FastifyReply, FastifyRequest } from 'fastify'
import { lookup } from 'mime-types'
import { actAs } from '../../core/access/access.ts'
import type { Engine } from '../../core/engine.ts'
import { isUploadError } from '../../core/errors/error.ts'
import { readMediaType } from '../../core/media/media-type.ts'
import type { Upload } from '../../core/upload.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { type ResumeTokens, resumeHeader } from '../../http/identity/resume.ts'
import { addressFor } from '../../http/location.ts'
import { bodySizeOf } from './bodies.ts'
import { digestOf } from './digests.ts'
import { chunkNumberOf, completeFields, expectedChunks, initFields, namedUser, readFields } from './fields.ts'
import { completedOf, createdOf, statusOf, unquoteEtag } from './views.ts'

/** What a request asks of the engine, in this dialect's words. Both spellings share it; only where the id stands differs. */
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
        // The client cuts the file by what it is told here.
        hasNumberedParts: true,
        ending: 'later',
      })
      whenAnswerLost(request, reply, (wasWritten) =>
        engine.markAnswerLost(upload.id, wasWritten ? upload.offset : null),
      )
      created(reply, upload, publicUrl)
      if (!resumeTokens) return reply.send(createdOf(upload))
      const token = await resumeTokens(owner, upload)
      return reply.header(resumeHeader, token).send({ ...createdOf(upload), resume_token: token })
    },

    async chunk(request: FastifyRequest, reply: FastifyReply, id: string) {
      const number = chunkNumberOf(request.headers)
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
      const expected = expectedChunks(readFields(completeFields, body))
      const upload = await engine.complete(actor, id, expected)
      if (upload.etag !== null) reply.header('etag', `"${upload.etag}"`)
      return completedOf(upload)
    },

    async status({ actor }: FastifyRequest, id: string) {
      return statusOf(await engine.listParts(actor, id))
    },

    /** Unlike a DELETE of the upload, it never takes away a file that has arrived. Asked again it has the same answer. */
    async cancel({ actor }: FastifyRequest, id: string) {
      await engine.cancel(actor, id, { sparesCompleted: true }).catch((error: unknown) => {
        if (!isUploadError(error, 'UPLOAD_GONE')) throw error
      })
      return { upload_id: id, status: 'cancelled' as const }
    },
  }
}

/** 201, with the address of the upload. */
export function created(reply: FastifyReply, { id }: Pick<Upload, 'id'>, publicUrl: string | undefined): FastifyReply {
  return reply.code(201).header('location', addressFor(reply.request, `/v1/uploads/${id}`, publicUrl))
}

// What curl says of a body of which it was told nothing. No file is of this type.
const curlDefaultType = 'application/x-www-form-urlencoded'

/** What the client says the file is, or else, also when what it says is no media type, what the ending of its name says. */
export function mediaTypeOf(filename: string, said: string | undefined): string {
  const type = readMediaType(said ?? '')
  return type === null || type === curlDefaultType ? lookup(filename) || '' : type
}
