import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isUploadError, UploadError } from '../core/errors/error.ts'
import { closeIfUnread } from './connection/unread-body.ts'
import { reportError } from './error-listeners.ts'
import { logRejected } from './logging.ts'
import { addSecurityHeaders } from './security-headers.ts'

/** The body of every refusal. */
export interface ErrorBody {
  error: { code: string; message: string; timestamp: string }
}

/** When to come back, in seconds; a refusal with `facts.retryAfter` says it itself. */
const retryAfter: Record<number, number> = { 423: 1, 429: 1, 503: 5 }

/**
 * Answers whatever is thrown in `app` with a status of the table in `core/errors` and one form of body. This is the one
 * place that logs what went wrong.
 */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler(answerError)
  answerNotFound(app)
}

/** Answers requests below the prefix of `app` that fit no route, behind the hooks of `app`. */
export function answerNotFound(app: FastifyInstance): void {
  app.setNotFoundHandler(async (_request, reply) =>
    sendError(reply, new UploadError('NOT_FOUND', 'There is nothing here.')),
  )
}

/** The answer to anything thrown. Fastify also calls it as `frameworkErrors`, for requests that reach no route and no hook. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toUploadError(thrown)
  logError(request, error)
  closeIfUnread(request, reply)
  void sendError(reply, error)
}

/** Anything thrown, as a refusal. What nobody foresaw becomes INTERNAL_ERROR with the cause kept for the log. */
export function toUploadError(thrown: unknown): UploadError {
  if (isUploadError(thrown)) return thrown
  const { statusCode: status, code, message, validation } = thrown as FastifyError
  if (validation) return new UploadError('INVALID_REQUEST', `The request is not valid: ${message}.`)
  if (status === 412) return new UploadError('PRECONDITION_FAILED', 'What is here is not what the request expects.')
  if (status === 413) return new UploadError('FILE_TOO_LARGE', 'The request body is too large.')
  if (status === 415)
    return new UploadError('UNSUPPORTED_CONTENT_TYPE', 'The request has a content type that is not understood here.')
  if (status === 429) return new UploadError('RATE_LIMITED', 'Too many requests. Try again a little later.')
  if (status === 503)
    return new UploadError('SHUTTING_DOWN', 'The server is stopping. Try again in a moment.', {}, { cause: thrown })
  // Fastify reads a body, and the client is gone: no fault, and nobody there to hear of it.
  if (status === 400 && code === 'ECONNRESET')
    return new UploadError('INVALID_REQUEST', 'The request body did not arrive whole.')
  // Fastify's own complaints about a request carry such a code; they hold nothing but what the client sent.
  if (status !== undefined && status >= 400 && status < 500 && code?.startsWith('FST_')) {
    return new UploadError('INVALID_REQUEST', `${message}.`)
  }
  return new UploadError('INTERNAL_ERROR', 'Something went wrong on the server.', {}, { cause: thrown })
}

/**
 * Logs a refusal, and tells who listens: what needs a person as `error`, what may need a look as `warn`, what a client did as `info`.
 * @param status of the answer, where a protocol has another one than the table
 */
export function logError(request: FastifyRequest, error: UploadError, status: number = error.status): void {
  reportError(error, request)
  const { code, facts, cause } = error
  const what = { status, code, reason: error.message, ...facts }
  const withCause = { ...what, ...(cause !== undefined && { err: cause }) }
  if (code === 'INTERNAL_ERROR') logRejected(request, 'error', withCause, 'request failed')
  // An outage of the database is logged once, where it is noticed; a line with a trace for each request would hide the rest.
  else if (code === 'DATABASE_ERROR') logRejected(request, 'info', what, 'request failed for now')
  else if (error.status >= 500) logRejected(request, 'warn', withCause, 'request failed for now')
  else logRejected(request, 'info', withCause, 'request refused')
}

/** The refusal in the form of the JSON API. */
export function errorBody(error: UploadError, now: Date = new Date()): ErrorBody {
  return { error: { code: error.code, message: error.message, timestamp: now.toISOString() } }
}

/** The headers that belong to a refusal in every protocol. */
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
