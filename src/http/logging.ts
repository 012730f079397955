import { randomUUID } from 'node:crypto'
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'

const secretHeaders = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'proxy-authorization',
  'upload-resume-token',
]
const mostNames = 20
// A name that is short and plain; what is not may be a secret itself.
const plainName = /^[\w.[\]-]{1,32}$/

export interface LoggingOptions {
  level: string
  /** Whether an `X-Request-Id` of the proxy in front is taken over. */
  trustsProxy: boolean
}

/** How Fastify logs: JSON lines on standard output, one per request, without secrets. */
export function loggingOptions({ level, trustsProxy }: LoggingOptions) {
  return {
    logger: {
      level,
      redact: {
        paths: secretHeaders.flatMap((name) => [`headers["${name}"]`, `*.headers["${name}"]`]),
        censor: '[redacted]',
      },
      serializers: { req: describeRequest, res: describeReply },
    },
    logController: new RequestLog({ requestIdLogLabel: 'requestId' }),
    genReqId: (raw) => givenId(trustsProxy ? raw.headers['x-request-id'] : undefined) ?? randomUUID(),
  } satisfies FastifyServerOptions
}

/** Tells every client the id of its request, as the log has it. */
export function sendRequestId(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
}

/** One line per request, when it is over, with the upload it was about. */
class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    const ms = Math.round(reply.elapsedTime)
    const facts = { uploadId: uploadIdOf(request, reply), ms, req: request, res: reply, ...(error && { err: error }) }
    const level = error ? 'warn' : request.routeOptions.config.isQuiet ? 'debug' : 'info'
    request.log[level](facts, 'request done')
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asked every few seconds by machines: logged at debug. */
    isQuiet?: boolean
  }
}

/**
 * A URL for logs: its path and the names of its parameters. Any value can be a secret, under whatever name a client or a proxy
 * chose; so can a parameter that has no value.
 */
export function withoutValues(url: string): string {
  const [, path = '', query] = /^([^?#]*)(?:\?([^#]*))?/.exec(url)!
  if (query === undefined || query === '') return path
  const names = query.split('&', mostNames).map((pair) => {
    const [name = '', ...value] = pair.split('=')
    return value.length > 0 && plainName.test(name) ? `${name}=[redacted]` : '[redacted]'
  })
  return `${path}?${names.join('&')}`
}

function describeRequest(request: FastifyRequest) {
  return { method: request.method, url: withoutValues(request.url), from: request.ip }
}

function describeReply(reply: { statusCode?: number }) {
  return { status: reply.statusCode }
}

/** The upload that a request names in its path or that its answer points to. */
function uploadIdOf(request: FastifyRequest, reply?: FastifyReply): string | undefined {
  const named = (request.params as Record<string, string | undefined> | undefined)?.id
  if (named) return named
  const location = reply?.getHeader('location')
  return typeof location === 'string' && reply?.statusCode === 201 ? location.split('/').at(-1) : undefined
}

function givenId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.-]{8,128}$/.test(header) ? header : undefined
}
