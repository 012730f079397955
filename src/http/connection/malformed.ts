/*
 * Answers to bytes that are not HTTP. Node's parser stops at them, and a listener must write the answer to the raw socket. It has the form
 * of every error response. Requests that arrived earlier on the same connection (pipelining) must be answered first, or their client
 * would take the error for the answer to one of them.
 */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionError } from 'fastify'
import type { UploadError } from '../../core/errors/error.ts'
import { errors } from '../../core/errors/errors.ts'
import { errorBody, errorHeaders } from '../errors.ts'
import { securityHeaders } from '../security-headers.ts'
import { onResponseClosed } from './response-closed.ts'
import { beginningOf } from './slices.ts'

// The same as in unread-body.ts.
const lingerMs = 2000
/** The responses of a connection that are not finished, and the latest one. */
const responses = new WeakMap<Socket, { waiting: Set<ServerResponse>; last: ServerResponse }>()
const rejectedSockets = new WeakSet<Socket>()

/** Tracks the unfinished responses on each connection of `server`, for `answerMalformed` and `refuseConnect`. */
export function watchAnswers(server: Server): void {
  server.on('request', ({ socket }, response) => {
    const waiting = responses.get(socket)?.waiting ?? new Set()
    responses.set(socket, { waiting: waiting.add(response), last: response })
    onResponseClosed(response, () => waiting.delete(response))
  })
}

/**
 * Makes `server` handle requests with an unknown `Expect` like any other, as RFC 9110 (10.1.1) allows. By default Node answers 417 itself
 * and then waits without limit for the end of a body that no code reads.
 */
export function ignoreExpectations(server: Server): void {
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
}

/** Fastify's `clientErrorHandler`: answers bytes that are not HTTP, headers that are too large, and requests that stall. */
export function answerMalformed(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET') return void socket.destroy()
  // The last answer was written and the client has time to read it. Closing now might lose it: see unread-body.ts.
  if (!socket.writable) return
  // The rest of the bytes causes further parser errors, and one answer is enough.
  if (rejectedSockets.has(socket)) return
  rejectedSockets.add(socket)
  const { waiting, last } = responses.get(socket) ?? {}
  // An error inside a body concerns the request of that body.
  const broken = last && !last.req.complete ? last : null
  const before = [...(waiting ?? [])].filter((response) => response !== broken)
  void Promise.all(before.map(untilClosed)).then(() => {
    if (broken?.headersSent) socket.destroySoon()
    else writeAnswer(socket, errorFor(error), broken ? broken.req.method !== 'HEAD' : wantsBody(beginningOf(socket)))
  })
}

/** Node's `connect` event: refuses CONNECT with an error. Without a listener Node would close the connection without an answer. */
export function refuseConnect(_request: IncomingMessage, socket: Duplex): void {
  if (!(socket instanceof Socket)) return
  const before = [...(responses.get(socket)?.waiting ?? [])]
  const error = errors.connectNotSupported()
  void Promise.all(before.map(untilClosed)).then(() => writeAnswer(socket, error, true))
}

function untilClosed(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => onResponseClosed(response, resolve))
}

// An answer to HEAD must have no body, or the client reads it as the next answer. So a request that may have been HEAD gets none.
function wantsBody(beginning: string): boolean {
  return /^(?!HEAD )[A-Z]+ /.test(beginning)
}

function errorFor({ code }: ConnectionError): UploadError {
  if (code === 'HPE_HEADER_OVERFLOW') return errors.headersTooLarge()
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? errors.headersTimeout() : errors.notHttp()
}

function writeAnswer(socket: Socket, error: UploadError, hasBody: boolean): void {
  if (!socket.writable) return
  const body = hasBody ? JSON.stringify(errorBody(error)) : ''
  const headers = {
    connection: 'close',
    'content-type': 'application/json',
    ...securityHeaders,
    ...errorHeaders(error),
    'content-length': String(Buffer.byteLength(body)),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end([`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`, ...lines, '', body].join('\r\n'))
  // Closing immediately might lose the answer: see unread-body.ts.
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
}
