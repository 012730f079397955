import type { FastifyReply } from 'fastify'
import type { Engine } from '../../core/engine.ts'
import { isUploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Actor } from '../../core/upload.ts'
import { bodySizeOf, isOfType } from '../../http/body/length.ts'
import { answerStored } from './answers.ts'
import { appendOf, endOnExcess } from './body.ts'
import { endConnection } from './connection.ts'
import { partialUploadType } from './dispatch.ts'
import { readInteger, readIsLast } from './fields.ts'
import { openInterim } from './interim.ts'
import { addressOf, type RufhOptions, type UploadRequest } from './options.ts'

/** "Upload Append": appends the body at `Upload-Offset`. */
export async function appendToUpload(
  options: RufhOptions,
  request: UploadRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { engine } = options
  const { actor, headers, dialect } = request
  const { id } = request.params
  request.canResume = true
  if (dialect.needsPartialUpload && !isOfType(headers, partialUploadType)) {
    reply.header('accept-patch', partialUploadType)
    throw errors.patchTypeUnsupported({ expected: partialUploadType })
  }
  const offset = readInteger(headers, 'upload-offset', dialect)
  if (offset === undefined) throw errors.uploadOffsetMissing()
  const isLast = readIsLast(headers, dialect) ?? (dialect.defaultsToComplete ? true : undefined)
  if (isLast === undefined) throw errors.uploadCompleteMissing()
  const size = readInteger(headers, 'upload-length', dialect)

  // The engine rejects bytes after the end, but answers an empty or chunked body as if it were the last one. A draft that forbids
  // every append to a completed upload therefore needs this check first.
  if (!dialect.repeatsFinalResponse && !bodySizeOf(headers)) await assertNotCompleted(engine, actor, id)
  const interim = openInterim(request, reply, dialect, options)
  const upload = await engine
    .append(actor, id, appendOf(request, dialect, interim, { offset, size, isLast }))
    .catch(async (error: unknown) => {
      if (dialect.knowsCompleted && isUploadError(error, 'OFFSET_MISMATCH')) await assertNotCompleted(engine, actor, id)
      return endOnExcess(engine, request, id, dialect, error)
    })
  if (isLast && upload.state !== 'completed') return endConnection(request, reply)
  return answerStored(reply, { dialect, upload }, { location: addressOf(options, request, id), isCreation: false })
}

/**
 * Until draft -11 a completed upload takes no append at all, not even one that changes nothing. An empty file is the
 * exception: the server may have completed it before the client sent `Upload-Complete: ?1`.
 */
async function assertNotCompleted(engine: Engine, actor: Actor, id: string): Promise<void> {
  const { state, size, offset } = await engine.get(actor, id)
  if (state === 'completed' && size !== 0) throw errors.takesNoMoreBytes({ offset })
}
