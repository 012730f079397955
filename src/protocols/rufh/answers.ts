import type { FastifyReply } from 'fastify'
import { serializeInteger } from 'structured-headers'
import type { Upload } from '../../core/upload.ts'
import { digestHeader } from './digests.ts'
import { completeness, limitHeader } from './fields.ts'
import type { Dialect } from './versions.ts'

export interface About {
  dialect: Dialect
  upload: Upload
}

/** The answer to a body that came in whole. Completed, it is the same whichever request brought the end of the file. */
export function answerStored(
  reply: FastifyReply,
  { dialect, upload }: About,
  { location, isCreation }: { location: string; isCreation: boolean },
): FastifyReply {
  const isComplete = upload.state === 'completed'
  if (isComplete || isCreation) reply.header('location', location)
  return reply
    .code(isComplete || isCreation ? 201 : dialect.appended)
    .headers({
      ...completeness(isComplete, dialect),
      // Not asked for from draft -06 on, but tus-js-client gives up without it.
      'upload-offset': serializeInteger(upload.offset),
      ...limitHeader(dialect, upload),
      ...digestHeader(upload.digests),
    })
    .send()
}

/** The answer to the question how far an upload has come. */
export function answerState(reply: FastifyReply, { dialect, upload }: About): FastifyReply {
  const isComplete = upload.state === 'completed'
  const { size } = upload
  if (size === null) {
    // tus-js-client asks for it when it resumes a stream.
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
