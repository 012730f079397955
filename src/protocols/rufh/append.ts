import type { FastifyReply } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import { isUploadError, UploadError } from '../../core/errors/error.ts'
import type { Actor } from '../../core/upload.ts'
import { answerStored } from './answers.ts'
import { appendBody, bodySizeOf } from './body.ts'
import { endConnection, markCanResume } from './connection.ts'
import { isPartialUpload } from './dispatch.ts'
import { readInteger, readIsLast } from './fields.ts'
import { openInterim } from './interim.ts'
import { addressOf, type RufhOptions, type UploadRequest } from './options.ts'
import { dialectOf } from './versions.ts'

/** "Upload Append": the bytes of the body from `Upload-Offset` on. */
export async function appendToUpload(
  options: RufhOptions,
  request: UploadRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { engine } = options
  const { actor, headers } = request
  const { id } = request.params
  const dialect = dialectOf(headers)
  markCanResume(request)
  if (dialect.needsPartialUpload && !isPartialUpload(headers['content-type'])) {
    reply.header('accept-patch', 'application/partial-upload')
    throw new UploadError('UNSUPPORTED_CONTENT_TYPE', 'Bytes are appended as application/partial-upload.')
  }
  const offset = readInteger(headers, 'upload-offset', dialect)
  if (offset === undefined)
    throw new UploadError('MISSING_FIELD', 'The header Upload-Offset must say where the bytes belong.')
  const isLast = readIsLast(headers, dialect) ?? (dialect.defaultsToComplete ? true : undefined)
  if (isLast === undefined)
    throw new UploadError('MISSING_FIELD', 'The header Upload-Complete must say whether these bytes are the last.')
  const size = readInteger(headers, 'upload-length', dialect)

  // Bytes after the end are refused by the engine; a body that brings none, or may bring none, is answered by it as if it were the last.
  if (!dialect.repeatsFinalResponse && !bodySizeOf(request)) await refuseCompleted(engine, actor, id)
  const interim = openInterim(request, reply, dialect, options)
  const upload = await appendBody(engine, request, id, dialect, interim, { offset, size, isLast }).catch(
    async (error: unknown) => {
      if (dialect.knowsCompleted && isUploadError(error, 'OFFSET_MISMATCH')) await refuseCompleted(engine, actor, id)
      throw error
    },
  )
  if (isLast && upload.state !== 'completed') return endConnection(request, reply)
  return answerStored(reply, { dialect, upload }, { location: addressOf(options, request, id), isCreation: false })
}

/**
 * Until draft -11 a completed upload takes no append at all, not even one that changes nothing. An empty file is the
 * exception: it may have been completed without the client's word, which then still comes.
 */
async function refuseCompleted(engine: Engine, actor: Actor, id: string): Promise<void> {
  const { state, size, offset } = await engine.get(actor, id)
  if (state === 'completed' && size !== 0)
    throw new UploadError('UPLOAD_COMPLETED', 'This upload is complete and takes no more bytes.', { offset })
}
