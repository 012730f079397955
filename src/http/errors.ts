import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorAnswer } from '../contract/error.ts'
import { isUploadError, type UploadError } from '../core/errors/error.ts'
import { errors } from '../core/errors/errors.ts'
import { closeIfUnread } from './body/unread-body.ts'
import { reportError } from './error-listeners.ts'
import { logRejected } from './logging.ts'
import { addSecurityHeaders } from './security-headers.ts'

/** Default Retry-After by status, in seconds; `facts.retryAfter` of an error overrides it. */
const retryAfter: Record<number, number> = { 423: 1, 429: 1, 503: 5 }

/**
 * Answers everything thrown in `app` with the status of the table in `core/errors` and one form of body, and logs it. No other place logs
 * an error that is answered.
 */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler(answerError)
  answerNotFound(app)
}

/** Answers requests below the prefix of `app` that match no route, after the hooks of `app`. */
export function answerNotFound(app: FastifyInstance): void {
  app.setNotFoundHandler(async (_request, reply) => sendError(reply, errors.notFound()))
}

/** Answers anything thrown. Fastify also calls it as `frameworkErrors`, for requests that reach no route and no hook. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toUploadError(thrown)
  logError(request, error)
  closeIfUnread(request, reply)
  void sendError(reply, error)
}

/** The error to answer with for anything thrown. Unexpected values become INTERNAL_ERROR; their cause is logged and never sent. */
export function toUploadError(thrown: unknown): UploadError {
  if (isUploadError(thrown)) return thrown
  const { statusCode: status, code, message, validation } = thrown as FastifyError
  if (validation) return errors.requestInvalid({ problem: message })
  if (status === 412) return errors.preconditionFailed()
  if (status === 413) return errors.bodyTooLarge()
  if (status === 415) return errors.mediaTypeNotSupported()
  if (status === 429) return errors.tooManyRequests()
  if (status === 503) return errors.shuttingDown({}, thrown)
  // The client closed its connection while Fastify read the body: not an internal error, and the client will not read the answer.
  if (status === 400 && code === 'ECONNRESET') return errors.bodyIncomplete()
  // Fastify's own errors about a request have such a code. Their messages hold only what the client sent, so they may be sent back.
  if (status !== undefined && status >= 400 && status < 500 && code?.startsWith('FST_'))
    return errors.requestInvalid({ problem: message })
  return errors.internalError({}, thrown)
}

/**
 * Logs an error that is answered and reports it to the listeners. Level `error`: an operator must act; `warn`: an operator may want to
 * look; `info`: the client caused it.
 * @param status of the answer, where a protocol uses another one than the table
 */
export function logError(request: FastifyRequest, error: UploadError, status: number = error.status): void {
  reportError(error, request)
  const { code, facts, cause } = error
  const entry = { status, code, reason: error.message, ...facts }
  const withCause = { ...entry, ...(cause !== undefined && { err: cause }) }
  if (code === 'INTERNAL_ERROR') logRejected(request, 'error', withCause, 'request failed')
  // An outage of the database is logged once, where it is noticed. A line with a stack trace per request would hide everything else.
  else if (code === 'DATABASE_ERROR') logRejected(request, 'info', entry, 'request failed for now')
  else if (error.status >= 500) logRejected(request, 'warn', withCause, 'request failed for now')
  else logRejected(request, 'info', withCause, 'request refused')
}

/** The error in the form of the JSON API. */
export function errorBody(error: UploadError, now: Date = new Date()): ErrorAnswer {
  return { error: { code: error.code, message: error.message, timestamp: now.toISOString() } }
}

/** The headers that an error response has in every protocol. */
export function errorHeaders(error: UploadError): Record<string, string> {
  const headers: Record<string, string> = {}
  const wait = error.facts.retryAfter ?? retryAfter[error.status]
  if (wait !== undefined) headers['retry-after'] = String(wait)
  if (error.status === 401) headers['www-authenticate'] = 'Bearer realm="landfall"'
  return headers
}

function sendError(reply: FastifyReply, error: UploadError): FastifyReply {
  addSecurityHeaders(reply)
  return reply.code(error.status).headers(errorHeaders(error)).type('application/json').send(errorBody(error))
}
