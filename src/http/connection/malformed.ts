/*
 * What is not HTTP. Node's parser stops there, and whoever listens must answer on the bare socket. The answer is in the words
 * of every refusal, and it must not come in the place of another: requests that came before on the same connection
 * (pipelining) are answered first, or their client would take the refusal for theirs.
 */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionError } from 'fastify'
import { UploadError } from '../../core/errors/error.ts'
import { errorBody, errorHeaders } from '../errors.ts'
import { securityHeaders } from '../security-headers.ts'
import { onResponseClosed } from './response-closed.ts'
import { beginningOf } from './slices.ts'

// As long as an answer to an unread body is given time to be read.
const lingerMs = 2000
/** The requests of a connection that wait for their answers, and the one that came last. */
const asked = new WeakMap<Socket, { waiting: Set<ServerResponse>; last: ServerResponse }>()
const answered400 = new WeakSet<Socket>()

/** Notes what is asked on the connections of `server`; `refuseMalformed` needs to know. */
export function watchAnswers(server: Server): void {
  server.on('request', ({ socket }, response) => {
    const waiting = asked.get(socket)?.waiting ?? new Set()
    asked.set(socket, { waiting: waiting.add(response), last: response })
    onResponseClosed(response, () => waiting.delete(response))
  })
}

/**
 * Lets `server` answer requests with an `Expect` it does not know like any other, as RFC 9110 (10.1.1) allows. Left alone, Node
 * answers 417 itself and then waits, for ever, for the end of a body that nobody reads.
 */
export function ignoreExpectations(server: Server): void {
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
}

/** Fastify's `clientErrorHandler`: nonsense, headers without end, or a request that does not go on. */
export function answerMalformed(error: ConnectionError, socket: Socket): void {
  if (error.code === 'ECONNRESET') return void socket.destroy()
  // The last answer is written, and time is given to read it: closed now, it might be lost (unread-body.ts).
  if (!socket.writable) return
  // What still comes is no better than what came.
  if (answered400.has(socket)) return
  answered400.add(socket)
  const { waiting, last } = asked.get(socket) ?? {}
  // In the middle of a body it is that request which is refused.
  const broken = last && !last.req.complete ? last : null
  const before = [...(waiting ?? [])].filter((response) => response !== broken)
  void Promise.all(before.map(answered)).then(() => {
    if (broken?.headersSent) socket.destroySoon()
    else writeAnswer(socket, errorFor(error), broken ? broken.req.method !== 'HEAD' : wantsBody(beginningOf(socket)))
  })
}

/** Node's `connect` event: this is no proxy, and Node would close such a connection without a word. */
export function refuseConnect(_request: IncomingMessage, socket: Duplex): void {
  if (!(socket instanceof Socket)) return
  const before = [...(asked.get(socket)?.waiting ?? [])]
  const error = new UploadError('INVALID_REQUEST', 'This server is no proxy: CONNECT is not answered here.')
  void Promise.all(before.map(answered)).then(() => writeAnswer(socket, error, true))
}

function answered(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => onResponseClosed(response, resolve))
}

// An answer to HEAD has no body, and one that has spoils the connection. What may have been HEAD gets none.
function wantsBody(beginning: string): boolean {
  return /^(?!HEAD )[A-Z]+ /.test(beginning)
}

function errorFor({ code }: ConnectionError): UploadError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new UploadError('HEADERS_TOO_LARGE', 'The headers of the request are too large.')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new UploadError('INVALID_REQUEST', 'The headers of the request did not arrive in time.', { isLate: true })
  return new UploadError('INVALID_REQUEST', 'The request is not valid HTTP.')
}

function writeAnswer(socket: Socket, error: UploadError, hasBody: boolean): void {
  if (!socket.writable) return
  // 408 as RFC 9110 has it: the request, not the server, was too slow. No client of an upload ever sees it.
  const status = error.facts.isLate ? 408 : error.status
  const body = hasBody ? JSON.stringify(errorBody(error)) : ''
  const headers = {
    connection: 'close',
    'content-type': 'application/json',
    ...securityHeaders,
    ...errorHeaders(error),
    'content-length': String(Buffer.byteLength(body)),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', body].join('\r\n'))
  // Closed at once, the answer might be lost: see unread-body.ts.
  const patience = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(patience))
}
