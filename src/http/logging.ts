import { randomUUID } from 'node:crypto'
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { stdTimeFunctions } from 'pino'
import { isText, type LogFormat, type TextTarget, textStream } from './log-text.ts'

const secretHeaders = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'proxy-authorization',
  'upload-resume-token',
]
const maxNames = 20
// A name that is short and plain; what is not may be a secret itself.
const plainName = /^[\w.[\]-]{1,32}$/

export interface LoggingOptions {
  level: string
  format: LogFormat
  /** Where lines go; standard output unless told. */
  target?: TextTarget
  /** Whether an `X-Request-Id` of the proxy in front is taken over. */
  trustsProxy: boolean
}

/**
 * How Fastify logs: one line a request, without secrets; as JSON with the time in ISO 8601 and the name of the level, or as text
 * for a person at a terminal.
 */
export function loggingOptions({ level, format, target = process.stdout, trustsProxy }: LoggingOptions) {
  return {
    logger: {
      level,
      stream: isText(format, target) ? textStream(target) : target,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (name: string) => ({ level: name }) },
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

/** Requests whose line is written: what refused them said everything there is to say. */
const reported = new WeakSet<FastifyRequest>()

/**
 * Writes the line of a refused request, at once: a client that has gone, or a connection that is ended, has no end that would be
 * logged. @param status of the answer
 */
export function logRejected(
  request: FastifyRequest,
  level: 'info' | 'warn' | 'error',
  { status, ...facts }: Record<string, unknown> & { status: number },
  message: string,
): void {
  reported.add(request)
  request.log[level]({ uploadId: uploadIdOf(request), ...facts, req: request, res: { statusCode: status } }, message)
}

/** One line per request, when it is over, with the upload it was about. */
class RequestLog extends LogController {
  override incomingRequest(): void {}

  override requestCompleted(error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    const ms = Math.round(reply.elapsedTime)
    const facts = { uploadId: uploadIdOf(request, reply), ms, req: request, res: reply, ...(error && { err: error }) }
    const { isProbe, isAsset } = request.routeOptions.config
    const level = error ? 'warn' : isProbe || isAsset || reported.has(request) ? 'debug' : 'info'
    request.log[level](facts, 'request done')
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asked every few seconds by machines: logged at debug. */
    isProbe?: boolean
    /** A file of a page: logged at debug. */
    isAsset?: boolean
  }
}

/**
 * A URL for logs: its path and the names of its parameters. Any value can be a secret, under whatever name a client or a proxy
 * chose; so can a parameter that has no value.
 */
export function withoutValues(url: string): string {
  const [, path = '', query] = /^([^?#]*)(?:\?([^#]*))?/.exec(url)!
  if (query === undefined || query === '') return path
  const names = query.split('&', maxNames).map((pair) => {
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
