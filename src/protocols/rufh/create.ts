import type { FastifyReply, FastifyRequest } from 'fastify'
import { UploadError } from '../../core/errors/error.ts'
import type { Upload } from '../../core/upload.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { resumeHeader } from '../../http/identity/resume.ts'
import { answerStored } from './answers.ts'
import { appendBody, bodySizeOf } from './body.ts'
import { endConnection, markCanResume } from './connection.ts'
import { limitHeader, readInteger, readIsLast } from './fields.ts'
import { openInterim } from './interim.ts'
import { addressOf, type RufhOptions } from './options.ts'
import { representationOf } from './representation.ts'
import { dialectOf } from './versions.ts'

/**
 * "Upload Creation": an upload, announced before the body is read, and the body as its first bytes, which may be all of
 * them, some, or none.
 */
export async function createUpload(
  options: RufhOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { engine, resumeTokens } = options
  const { actor, headers } = request
  const dialect = dialectOf(headers)
  const saidLast = readIsLast(headers, dialect)
  if (saidLast === undefined) throw missingCompleteness(dialect.usesUploadIncomplete)
  const bodySize = bodySizeOf(request)
  const told = readInteger(headers, 'upload-length', dialect)
  const isLast = saidLast || (told === 0 && dialect.completesAtFullLength)
  const size = lengthOf(told, bodySize, isLast)
  if ((readInteger(headers, 'upload-offset', dialect) ?? 0) !== 0)
    throw new UploadError('INVALID_REQUEST', 'A new upload starts at byte 0. To go on with one, use its own address.')

  const created = await engine.create(actor, {
    ...representationOf(headers),
    size,
    ending: 'later',
    withBody: bodySize !== 0 || isLast,
    ...(bodySize !== null && bodySize > 0 && { firstChunkSize: bodySize }),
  })
  let upload: Upload = created
  const answersNow = whenAnswerLost(request, reply, (wasWritten) =>
    engine.markAnswerLost(upload.id, wasWritten ? upload.offset : null),
  )
  const interim = openInterim(request, reply, dialect, options)
  const where = {
    location: addressOf(options, request, created.id),
    ...(resumeTokens && { [resumeHeader]: await resumeTokens(actor, created) }),
  }
  // What may be the repetition of an earlier upload is announced by neither address: only its last byte tells which of them it is. Its
  // client asks anew after a lost connection.
  if (created.repeats || interim.announce({ ...where, ...limitHeader(dialect, created) })) markCanResume(request)
  // From here on every answer points to the upload, refusals too.
  reply.headers(where)

  if (bodySize !== 0 || isLast)
    upload = await appendBody(engine, request, created.id, dialect, interim, {
      offset: 0,
      isLast,
      repeats: created.repeats,
    })
  answersNow()
  if (isLast && upload.state !== 'completed') return endConnection(request, reply)
  // It may be one that came before.
  const location = addressOf(options, request, upload.id)
  return answerStored(reply, { dialect, upload }, { location, isCreation: true })
}

/** The length a creation tells, in one way or two that must agree. */
function lengthOf(told: number | undefined, bodySize: number | null, isLast: boolean): number | null {
  const implied = isLast ? bodySize : null
  const isTooLong = told !== undefined && bodySize !== null && bodySize > told
  if (isTooLong || (told !== undefined && implied !== null && implied !== told)) {
    throw new UploadError('LENGTH_MISMATCH', 'Upload-Length and Content-Length do not agree.', { size: told })
  }
  return told ?? implied
}

function missingCompleteness(saysIncomplete: boolean): UploadError {
  const field = saysIncomplete ? 'Upload-Incomplete' : 'Upload-Complete'
  return new UploadError('MISSING_FIELD', `An upload starts with the header ${field}: ?0 or ?1.`)
}
