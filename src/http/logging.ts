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
const secretParameters = /([?&](?:access_|id_|refresh_)?(?:token|key|secret|signature|x-amz-[\w-]+)=)[^&#]*/gi

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

/** A URL without the values of parameters that carry secrets. */
export function withoutSecrets(url: string): string {
  return url.replace(secretParameters, '$1[redacted]')
}

function describeRequest(request: FastifyRequest) {
  return { method: request.method, url: withoutSecrets(request.url), from: request.ip }
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
