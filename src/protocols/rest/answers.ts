import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, UploadError } from '../../core/errors/error.ts'
import { errorBody, errorHeaders, logError, toUploadError } from '../../http/errors.ts'

/** Older clients know two codes for a request that is not as it should be: a field is missing, or is not valid. */
const invalid = { code: 'INVALID_FIELD', status: 400 } as const

/**
 * What this dialect calls a refusal differently: whatever stands behind the server and does not answer is 502, and the
 * store keeps the name that clients of this dialect know.
 */
const spokenHere: Partial<Record<ErrorCode, { code: ErrorCode; status: number }>> = {
  STORE_UNAVAILABLE: { code: 'R2_ERROR', status: 502 },
  DATABASE_ERROR: { code: 'DATABASE_ERROR', status: 502 },
  INVALID_METADATA: invalid,
  INVALID_REQUEST: invalid,
  LENGTH_MISMATCH: invalid,
}

/** Answers anything thrown with `{ error: { code, message, timestamp } }`, in the codes of this dialect, and logs it. */
export function answerInRest(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toUploadError(thrown)
  const { code, status } = spokenHere[error.code] ?? error
  logError(request, error, status)
  void reply
    .code(status)
    .headers(errorHeaders(error))
    .type('application/json')
    .send(errorBody(new UploadError(code, error.message)))
}
