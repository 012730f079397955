import type { FastifyReply, FastifyRequest } from 'fastify'
import { errors } from '../../core/errors/errors.ts'
import type { Upload } from '../../core/upload.ts'
import { bodySizeOf } from '../../http/body/length.ts'
import { whenAnswerLost } from '../../http/connection/lost-answers.ts'
import { resumeHeader } from '../../http/identity/resume.ts'
import { answerStored } from './answers.ts'
import { appendOf, endOnExcess } from './body.ts'
import { endConnection } from './connection.ts'
import { limitHeader, readInteger, readIsLast } from './fields.ts'
import { openInterim } from './interim.ts'
import { addressOf, type RufhOptions } from './options.ts'
import { representationOf } from './representation.ts'

/**
 * "Upload Creation": creates an upload, announces it before the body is read, and appends the body, which holds the whole file, its
 * first bytes, or nothing.
 */
export async function createUpload(
  options: RufhOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { engine, resumeTokens } = options
  const { actor, headers, dialect } = request
  const isDeclaredLast = readIsLast(headers, dialect)
  if (isDeclaredLast === undefined) {
    throw errors.completenessMissing({ header: dialect.usesUploadIncomplete ? 'Upload-Incomplete' : 'Upload-Complete' })
  }
  const bodySize = bodySizeOf(headers)
  const length = readInteger(headers, 'upload-length', dialect)
  const isLast = isDeclaredLast || (length === 0 && dialect.completesAtFullLength)
  const size = resolveSize(length, bodySize, isLast)
  if ((readInteger(headers, 'upload-offset', dialect) ?? 0) !== 0) throw errors.creationOffsetNotZero()

  const interim = openInterim(request, reply, dialect, options)
  let upload: Upload | undefined
  let checkConnection = () => {}
  function announce(created: Upload, mayRepeat: boolean): void {
    upload = created
    checkConnection = whenAnswerLost(request, reply, (wasWritten) =>
      engine.markAnswerLost(upload!.id, wasWritten ? upload!.offset : null),
    )
    const locationHeaders = {
      location: addressOf(options, request, created.id),
      ...(resumeTokens && { [resumeHeader]: resumeTokens(actor, created) }),
    }
    // A creation that may repeat an earlier one is not announced: its URL, the new or the earlier one, is known only after its last byte.
    // The client creates the upload once more after a lost connection.
    if (mayRepeat || interim.announce({ ...locationHeaders, ...limitHeader(dialect, created) }))
      request.canResume = true
    // From here on every answer has the Location of the upload, errors too.
    reply.headers(locationHeaders)
  }

  const creation = { ...representationOf(headers), size, ending: 'later' as const }
  if (bodySize !== 0 || isLast) {
    const firstChunkSize = bodySize || undefined
    upload = await engine
      .createWithBody(actor, { ...creation, firstChunkSize }, (created) => {
        announce(created, created.mayRepeat)
        return appendOf(request, dialect, interim, { offset: 0, isLast })
      })
      .catch((error: unknown) => endOnExcess(engine, request, upload?.id, dialect, error))
  } else {
    upload = await engine.create(actor, creation)
    announce(upload, false)
  }
  checkConnection()
  if (isLast && upload.state !== 'completed') return endConnection(request, reply)
  // A repeated creation returns the earlier upload.
  const location = addressOf(options, request, upload.id)
  return answerStored(reply, { dialect, upload }, { location, isCreation: true })
}

/** The size of the file by Upload-Length, by the length of a body that holds all of it, or by both, which must agree. */
function resolveSize(length: number | undefined, bodySize: number | null, isLast: boolean): number | null {
  const implied = isLast ? bodySize : null
  const isTooLong = length !== undefined && bodySize !== null && bodySize > length
  if (isTooLong || (length !== undefined && implied !== null && implied !== length)) {
    throw errors.contentLengthMismatch({ size: length })
  }
  return length ?? implied
}
