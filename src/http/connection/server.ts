/*
 * Node's HTTP server with all checks that run before a request reaches Fastify. Fastify opens a second server where `localhost` has two
 * addresses, so every check must be installed by the factory on each server.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { UploadError } from '../../core/errors/error.ts'
import { lingerOnClose } from '../body/unread-body.ts'
import { errorBody, errorHeaders } from '../errors.ts'
import { securityHeaders } from '../security-headers.ts'
import { type AdmissionLimits, admitConnections } from './admission.ts'
import { findGrammarError, toOriginForm } from './grammar.ts'
import { answerMalformed, ignoreExpectations, refuseConnect, watchAnswers } from './malformed.ts'
import { boundPipelining } from './pipelining.ts'
import { parseInSlices } from './slices.ts'
import { enforceWriteTimeout } from './write-timeout.ts'

export interface ConnectionLimits extends AdmissionLimits {
  /** Maximum time for the headers of a request to arrive. */
  headersTimeoutMs: number
  /** How long a client may read nothing of an answer. */
  writeTimeoutMs: number
}

const keepAliveMs = 72_000

/** Fastify's `serverFactory`. All servers that it creates share one set of connection limits. */
export function serverFactory(limits: ConnectionLimits): (listener: RequestListener) => Server {
  const admit = admitConnections(limits)
  return (listener) => {
    const queues = boundPipelining((request, response) => {
      const error = findGrammarError(request)
      if (error) return rejectRequest(response, error)
      toOriginForm(request)
      listener(request, response)
    })
    const server = createServer(
      {
        // Bytes that arrive while a body waits for memory stay in the kernel. Otherwise thousands of bodies would buffer more than the
        // memory budget allows.
        highWaterMark: 16 * 1024,
        // Upload-Concat with the addresses of 500 partial uploads is the longest header that a client may need.
        maxHeaderSize: 64 * 1024,
        headersTimeout: limits.headersTimeoutMs,
        // An upload may take hours. The engine ends stalled bodies, because it knows whether the client or this server is slow.
        requestTimeout: 0,
        keepAliveTimeout: keepAliveMs,
        connectionsCheckingInterval: Math.min(5000, limits.headersTimeoutMs),
        // grammar.ts refuses a missing Host with the common form of error.
        requireHostHeader: false,
      },
      queues.enqueue,
    )
    parseInSlices(server, { hasWaiting: queues.hasWaiting })
    server.on('connection', (socket: Socket) => admit(socket, queues.isBusy))
    server.on('clientError', answerMalformed)
    server.on('connect', refuseConnect)
    ignoreExpectations(server)
    watchAnswers(server)
    lingerOnClose(server)
    enforceWriteTimeout(server, limits.writeTimeoutMs)
    return server
  }
}

function rejectRequest(response: ServerResponse, error: UploadError): void {
  const body = JSON.stringify(errorBody(error))
  response
    .writeHead(error.status, {
      ...securityHeaders,
      ...errorHeaders(error),
      connection: 'close',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    })
    .end(body)
}
