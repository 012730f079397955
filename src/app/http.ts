import fastify, { type FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import { compileWhenUsed } from '../http/api/compile-when-used.ts'
import { type JsonBodyOptions, readJsonBodies } from '../http/body/json-bodies.ts'
import { closeAfterUnreadBody } from '../http/body/unread-body.ts'
import { countRequests } from '../http/connection/closing.ts'
import { trackRequests } from '../http/connection/lost-answers.ts'
import { answerMalformed } from '../http/connection/malformed.ts'
import { limitLoad } from '../http/connection/overload.ts'
import { serverFactory } from '../http/connection/server.ts'
import { trustedProxies } from '../http/connection/trusted-proxies.ts'
import { rejectContentCodings } from '../http/content-coding.ts'
import { answerErrors } from '../http/errors.ts'
import { answerUnreadable } from '../http/limits.ts'
import { loggingOptions, sendRequestId } from '../http/logging.ts'
import { sendSecurityHeaders } from '../http/security-headers.ts'

// Of the JSON API; the engine reads files, within the limits of the policies.
const bodyLimit = 64 * 1024

/** A server of its own with the limits of `config`, without routes. */
export function openHttp(config: Config): FastifyInstance {
  const http = fastify({
    ...loggingOptions({
      level: config.LOG_LEVEL,
      format: config.LOG_FORMAT,
      worker: config.worker,
      trustsProxy: config.TRUST_PROXY !== false,
    }),
    trustProxy: config.TRUST_PROXY,
    frameworkErrors: answerUnreadable,
    clientErrorHandler: answerMalformed,
    bodyLimit,
    serverFactory: serverFactory({
      headersTimeoutMs: config.HEADERS_TIMEOUT,
      writeTimeoutMs: config.WRITE_TIMEOUT,
      connections: config.CONNECTIONS_AT_ONCE,
      connectionsPerAddress: shareOf(config),
      isProxy: trustedProxies(config.TRUST_PROXY),
    }),
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    // While the server stops, requests on open connections get their answer from the engine; HEAD still returns the offset.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 512 },
  })
  return http
}

/**
 * Registers what applies to all routes of a port before they are reached: headers and errors of every answer, and the limits of the
 * address, of the body, and of all requests at once.
 * @param addHooks adds those of the features, which may refuse requests
 */
export function guardRequests(
  http: FastifyInstance,
  config: Config,
  { json, addHooks }: { json: JsonBodyOptions; addHooks(http: FastifyInstance): void },
): void {
  // The app around may have other defaults.
  http.addHook('onRoute', (route) => {
    route.bodyLimit ??= bodyLimit
  })
  compileWhenUsed(http)
  const running = countRequests(http)
  sendRequestId(http)
  trackRequests(http)
  sendSecurityHeaders(http)
  addHooks(http)
  closeAfterUnreadBody(http)
  readJsonBodies(http, json)
  // Bodies of other types are not read, unless a protocol does so.
  http.addContentTypeParser('*', (_request, _payload, done) => done(null))
  answerErrors(http)
  rejectContentCodings(http)
  limitLoad(http, { maxRequests: config.REQUESTS_AT_ONCE, perAddress: shareOf(config), running })
}

/** How many connections, or requests at once, one address may have. */
function shareOf({ CONNECTIONS_PER_ADDRESS: perAddress, CONNECTIONS_AT_ONCE: all }: Config): number {
  return perAddress ?? Math.ceil(all / 8)
}
