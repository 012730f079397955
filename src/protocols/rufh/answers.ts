import type { FastifyReply } from 'fastify'
import type { Upload } from '../../core/upload.ts'
import { serializeInteger } from '../../http/structured-fields.ts'
import { digestHeader } from './digests.ts'
import { completeness, limitHeader } from './fields.ts'
import type { Dialect } from './versions.ts'

/** The upload that an answer describes, in the dialect of its client. */
export interface Described {
  dialect: Dialect
  upload: Upload
}

/** Answers a body that arrived whole. Once the upload is complete, the answer is the same for every request that brings its end. */
export function answerStored(
  reply: FastifyReply,
  { dialect, upload }: Described,
  { location, isCreation }: { location: string; isCreation: boolean },
): FastifyReply {
  const isComplete = upload.state === 'completed'
  if (isComplete || isCreation) reply.header('location', location)
  return reply
    .code(isComplete || isCreation ? 201 : dialect.appended)
    .headers({
      ...completeness(isComplete, dialect),
      // Not required from draft -06 on, but tus-js-client fails without it.
      'upload-offset': serializeInteger(upload.offset),
      ...limitHeader(dialect, upload),
      ...digestHeader(upload.digests),
    })
    .send()
}

/** Answers an offset retrieval. */
export function answerOffset(reply: FastifyReply, { dialect, upload }: Described): FastifyReply {
  const isComplete = upload.state === 'completed'
  const { size } = upload
  if (size === null) {
    // tus-js-client needs it to resume a stream.
    if (dialect.completesAtFullLength) reply.header('upload-defer-length', '1')
  } else {
    reply.header('upload-length', serializeInteger(size))
  }
  return reply
    .code(204)
    .headers({
      ...completeness(isComplete, dialect),
      'upload-offset': serializeInteger(upload.offset),
      ...limitHeader(dialect, upload),
      ...digestHeader(upload.digests),
    })
    .send()
}
