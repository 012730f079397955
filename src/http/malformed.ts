/*
 * What is not HTTP. Node's parser stops there, and whoever listens must answer on the bare socket. The answer is in the words
 * of every refusal, and it must not come in the place of another: requests that came before on the same connection
 * (pipelining) are answered first, or their client would take the refusal for theirs.
 */
import { type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { UploadError } from '../core/errors.ts'
import { errorBody } from './errors.ts'

// As long as an answer to an unread body is given time to be read.
const lingerMs = 2000
/** The requests of a connection that wait for their answers, and the one that came last. */
const asked = new WeakMap<Socket, { waiting: Set<ServerResponse>; last: ServerResponse }>()
const refused = new WeakSet<Socket>()

/** Notes what is asked on the connections of `server`; `refuseMalformed` needs to know. */
export function watchAnswers(server: Server): void {
  server.on('request', ({ socket }, response) => {
    const waiting = asked.get(socket)?.waiting ?? new Set()
    asked.set(socket, { waiting: waiting.add(response), last: response })
    response.once('close', () => waiting.delete(response))
  })
}

/** Fastify's `clientErrorHandler`. */
export function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  // What still comes is no better than what came.
  if (refused.has(socket)) return
  refused.add(socket)
  const { waiting, last } = asked.get(socket) ?? {}
  // In the middle of a body it is that request which is refused.
  const broken = last && !last.req.complete ? last : null
  const before = [...(waiting ?? [])].filter((response) => response !== broken)
  void Promise.all(before.map(answered)).then(() => {
    if (broken?.headersSent) socket.destroySoon()
    else say(socket, refusalOf(error))
  })
}

function answered(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => response.once('close', resolve))
}

function refusalOf({ code }: { code?: string }): UploadError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new UploadError('HEADERS_TOO_LARGE', 'The headers of the request are too large.')
  return new UploadError('INVALID_REQUEST', 'The request is not valid HTTP.')
}

function say(socket: Socket, refusal: UploadError): void {
  if (!socket.writable) return
  const { status } = refusal
  const body = JSON.stringify(errorBody(refusal))
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  // Closed at once, the answer might be lost: see unread-body.ts.
  const patience = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(patience))
}
