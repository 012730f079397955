import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, errorCodes, UploadError } from '../../core/errors/error.ts'
import { errorBody, errorHeaders, logError, toUploadError } from '../../http/errors.ts'

/** Clients of this dialect know two codes for an invalid request: a field is missing, or a field is not valid. */
const invalid = { code: 'INVALID_FIELD', status: 400 } as const

/** The codes and statuses that differ in this dialect: a store or database that does not answer is 502, and the store is called R2. */
const restCodes: Partial<Record<ErrorCode, { code: ErrorCode; status: number }>> = {
  STORE_UNAVAILABLE: { code: 'R2_ERROR', status: 502 },
  DATABASE_ERROR: { code: 'DATABASE_ERROR', status: 502 },
  INVALID_METADATA: invalid,
  INVALID_REQUEST: invalid,
  LENGTH_MISMATCH: invalid,
}

/** How this dialect answers `code`. */
export function answeredAs(code: ErrorCode): { code: ErrorCode; status: number } {
  return restCodes[code] ?? { code, status: errorCodes[code] }
}

/** Answers any thrown error with `{ error: { code, message, timestamp } }`, in the codes of this dialect, and logs it. */
export function answerRestError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toUploadError(thrown)
  const { code, status } = answeredAs(error.code)
  logError(request, error, status)
  void reply
    .code(status)
    .headers(errorHeaders(error))
    .type('application/json')
    .send(errorBody(new UploadError(code, error.message)))
}
