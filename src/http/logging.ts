import { randomUUID } from 'node:crypto'
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { type LogLines, logLines } from './log-lines.ts'

const maxNames = 20
// Only short, plain parameter names are logged: anything else may be a secret itself.
const plainName = /^[\w.[\]-]{1,32}$/

export interface LoggingOptions extends LogLines {
  /** Whether the `X-Request-Id` of a proxy in front becomes the request id. */
  trustsProxy: boolean
}

/**
 * Fastify's logging options: one line per request, without secrets; as JSON with the time in ISO 8601 and the name of the level, or as
 * text for a terminal.
 */
export function loggingOptions({ trustsProxy, ...lines }: LoggingOptions) {
  return {
    logger: {
      ...logLines(lines),
      serializers: { req: describeRequest, res: describeReply },
    },
    logController: new RequestLog({ requestIdLogLabel: 'requestId' }),
    genReqId: (raw) => forwardedId(trustsProxy ? raw.headers['x-request-id'] : undefined) ?? randomUUID(),
  } satisfies FastifyServerOptions
}

/** Sends every client the id under which its request is logged. */
export function sendRequestId(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
}

/** Requests whose error has been logged, so the line at their end is logged at debug. */
const loggedRequests = new WeakSet<FastifyRequest>()

/**
 * Logs a refused request immediately. Fastify logs no end of a request whose client has gone or whose connection was cut, so waiting for
 * the end would lose the line.
 * @param status of the answer
 */
export function logRejected(
  request: FastifyRequest,
  level: 'info' | 'warn' | 'error',
  { status, ...facts }: Record<string, unknown> & { status: number },
  message: string,
): void {
  loggedRequests.add(request)
  request.log[level]({ uploadId: uploadIdOf(request), ...facts, req: request, res: { statusCode: status } }, message)
}

/** Logs one line per request when it ends, with the id of its upload. */
class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    const ms = Math.round(reply.elapsedTime)
    const facts = { uploadId: uploadIdOf(request, reply), ms, req: request, res: reply, ...(error && { err: error }) }
    const { isProbe, isAsset } = request.routeOptions.config
    const level = error ? 'warn' : isProbe || isAsset || loggedRequests.has(request) ? 'debug' : 'info'
    request.log[level](facts, 'request done')
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A probe that machines send every few seconds: logged at debug and exempt from the load limit. */
    isProbe?: boolean
    /** A static file of a page: logged at debug. */
    isAsset?: boolean
  }
}

// Tokens in paths, such as those of links to files, are longer than an id; a long file name without a dot may look like one.
const token = /[\w-]{48,}/g

/**
 * A URL for logs: its path without tokens, and the names of its query parameters. Every value may be a secret, whatever its parameter is
 * called, and so may a parameter without a value.
 */
export function withoutValues(url: string): string {
  const [, named = '', query] = /^([^?#]*)(?:\?([^#]*))?/.exec(url)!
  const path = named.replace(token, '[redacted]')
  if (query === undefined || query === '') return path
  const names = query.split('&', maxNames).map((pair) => {
    const [name = '', ...value] = pair.split('=')
    return value.length > 0 && plainName.test(name) ? `${name}=[redacted]` : '[redacted]'
  })
  return `${path}?${names.join('&')}`
}

function describeRequest(request: FastifyRequest) {
  return { method: request.method, url: withoutValues(request.url), remoteAddress: request.ip }
}

function describeReply(reply: { statusCode?: number }) {
  return { status: reply.statusCode }
}

/** The id of the upload that a request names in its path, or that its answer has created. */
function uploadIdOf(request: FastifyRequest, reply?: FastifyReply): string | undefined {
  const named = (request.params as Record<string, string | undefined> | undefined)?.id
  if (named) return named
  const location = reply?.getHeader('location')
  return typeof location === 'string' && reply?.statusCode === 201 ? location.split('/').at(-1) : undefined
}

function forwardedId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.-]{8,128}$/.test(header) ? header : undefined
}
