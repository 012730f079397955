/*
 * Node's HTTP server with everything that must hold before a request reaches Fastify. Fastify opens a second one where `localhost` is two
 * addresses, so nothing here may be put on one server alone.
 */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { UploadError } from '../../core/errors.ts'
import { errorBody, errorHeaders } from '../errors.ts'
import { isLoopback } from '../identity/origin.ts'
import { securityHeaders } from '../security-headers.ts'
import { faultOfGrammar, toOriginForm } from './grammar.ts'
import { ignoreExpectations, refuseConnect, refuseMalformed, watchAnswers } from './malformed.ts'
import { createShares, type Shares } from './shares.ts'
import { parseInSlices } from './slices.ts'
import { takeTurns } from './turns.ts'
import { letLastAnswersBeRead } from './unread-body.ts'
import { cutUnreadAnswers } from './write-timeout.ts'

export interface ConnectionLimits {
  /** How long the headers of a request may take. */
  headersTimeoutMs: number
  /** How long a client may leave an answer unread. */
  writeTimeoutMs: number
  /** Connections at once, of all clients together. */
  connections: number
  /** Connections at once of one address; its network may have twice or four times as many. */
  connectionsPerAddress: number
  /** Whether `address` is that of a proxy whose connections are other people's. */
  isProxy(address: string): boolean
}

const keepAliveMs = 72_000

/** What Fastify takes as `serverFactory`: every server that it makes shares the shares of `limits`. */
export function serverFactory(limits: ConnectionLimits): (listener: RequestListener) => Server {
  const shares = createShares(limits.connectionsPerAddress)
  // This machine: a proxy that was not named in TRUST_PROXY, or the operator, for whom room is left by all others.
  const local = createShares(Math.ceil(limits.connections * 0.75))
  return (listener) => {
    const turns = takeTurns((request, response) => {
      const fault = faultOfGrammar(request)
      if (fault) return refuse(response, fault)
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
    server.maxConnections = limits.connections
    server.on('connection', (socket: Socket) => admit(socket, limits, shares, local))
    server.on('clientError', refuseMalformed)
    server.on('connect', refuseConnect)
    ignoreExpectations(server)
    watchAnswers(server)
    letLastAnswersBeRead(server)
    cutUnreadAnswers(server, limits.writeTimeoutMs)
    return server
  }
}

/** Cuts the connection when its network has too many. */
function admit(socket: Socket, { isProxy }: ConnectionLimits, shares: Shares, local: Shares): void {
  const { remoteAddress: address } = socket
  if (address === undefined || isProxy(address)) return
  const leave = (isLoopback(address) ? local : shares).take(address)
  if (leave) socket.once('close', leave)
  else socket.destroy()
}

function refuse(response: ServerResponse, fault: UploadError): void {
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
