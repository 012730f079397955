/*
 * Node's HTTP server with everything that must hold before a request reaches Fastify. Fastify opens a second one where `localhost` is two
 * addresses, so nothing here may be put on one server alone.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { UploadError } from '../../core/errors/error.ts'
import { errorBody, errorHeaders } from '../errors.ts'
import { securityHeaders } from '../security-headers.ts'
import { type AdmissionLimits, admitConnections } from './admission.ts'
import { findGrammarError, toOriginForm } from './grammar.ts'
import { answerMalformed, ignoreExpectations, refuseConnect, watchAnswers } from './malformed.ts'
import { boundPipelining } from './pipelining.ts'
import { parseInSlices } from './slices.ts'
import { letLastAnswersBeRead } from './unread-body.ts'
import { enforceWriteTimeout } from './write-timeout.ts'

export interface ConnectionLimits extends AdmissionLimits {
  /** How long the headers of a request may take. */
  headersTimeoutMs: number
  /** How long a client may leave an answer unread. */
  writeTimeoutMs: number
}

const keepAliveMs = 72_000

/** What Fastify takes as `serverFactory`: every server that it makes shares the shares of `limits`. */
export function serverFactory(limits: ConnectionLimits): (listener: RequestListener) => Server {
  const admit = admitConnections(limits)
  return (listener) => {
    const turns = boundPipelining((request, response) => {
      const fault = findGrammarError(request)
      if (fault) return rejectSocket(response, fault)
      toOriginForm(request)
      listener(request, response)
    })
    const server = createServer(
      {
        // What comes while a body waits for memory is left to the kernel, or thousands of them would take what the budget refuses.
        highWaterMark: 16 * 1024,
        // The addresses of 500 partial uploads in Upload-Concat, which is the longest header that a client may have to send.
        maxHeaderSize: 64 * 1024,
        headersTimeout: limits.headersTimeoutMs,
        // A request may take hours. What stalls is ended by the engine, which can tell a slow body from one that waits for us.
        requestTimeout: 0,
        keepAliveTimeout: keepAliveMs,
        connectionsCheckingInterval: Math.min(5000, limits.headersTimeoutMs),
        // Refused by `grammar.ts`, in the words of every refusal.
        requireHostHeader: false,
      },
      turns.take,
    )
    parseInSlices(server, { hasWaiting: turns.hasWaiting })
    server.on('connection', (socket: Socket) => admit(socket, turns.isBusy))
    server.on('clientError', answerMalformed)
    server.on('connect', refuseConnect)
    ignoreExpectations(server)
    watchAnswers(server)
    letLastAnswersBeRead(server)
    enforceWriteTimeout(server, limits.writeTimeoutMs)
    return server
  }
}

function rejectSocket(response: ServerResponse, fault: UploadError): void {
  const body = JSON.stringify(errorBody(fault))
  response
    .writeHead(fault.status, {
      ...securityHeaders,
      ...errorHeaders(fault),
      connection: 'close',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    })
    .end(body)
}
