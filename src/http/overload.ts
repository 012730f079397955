import type { Socket } from 'node:net'
import type { ConnectionError, FastifyInstance } from 'fastify'
import { UploadError } from '../core/errors.ts'
import { errorBody, errorHeaders } from './errors.ts'

/**
 * Answers at most `most` requests at once; more are told to come back before anything is done for them. `running` says how
 * many there are, this one included. Checks of the server's health are always answered.
 */
export function limitLoad(app: FastifyInstance, most: number, running: () => number): void {
  app.addHook('onRequest', async ({ routeOptions }) => {
    if (running() > most && !routeOptions.config.isQuiet)
      throw new UploadError('OVERLOADED', 'The server has too much to do. Please try again in a moment.', {
        rule: 'REQUESTS_AT_ONCE',
      })
  })
}

const words: Record<number, string> = {
  400: 'Bad Request',
  431: 'Request Header Fields Too Large',
  408: 'Request Timeout',
}

/** Answers what is no request: headers without end, nonsense, or nothing for too long. It never reached a route. */
export function answerNoRequest(error: ConnectionError, socket: Socket): void {
  // Reset by the client: nobody listens.
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) socket.write(answerTo(error))
  socket.destroySoon()
}

function answerTo({ code, rawPacket }: ConnectionError): string {
  const refusal =
    code === 'HPE_HEADER_OVERFLOW'
      ? new UploadError('HEADERS_TOO_LARGE', 'The headers of the request are too large.')
      : new UploadError('INVALID_REQUEST', 'This is not a valid HTTP request.')
  // 408 as RFC 9110 has it: the request, not the server, was too slow. No client of an upload ever sees it.
  const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : refusal.status
  // An answer to HEAD has no body, and one that has spoils the connection. What may have been HEAD gets none.
  // Node gives a Buffer, whatever the type says: the beginning of the request, when that came in one piece.
  const beginning = Buffer.isBuffer(rawPacket) ? rawPacket.subarray(0, 20).toString('latin1') : ''
  const hasBody = /^(?!HEAD )[A-Z]+ /.test(beginning)
  const body = hasBody ? JSON.stringify(errorBody(refusal)) : ''
  const headers = {
    connection: 'close',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...errorHeaders(refusal),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return [`HTTP/1.1 ${status} ${words[status]}`, ...lines, '', body].join('\r\n')
}
