import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { Admin } from './admin.ts'
import type { Config } from './config.ts'
import type { RunningEngine } from './core/engine.ts'
import { isOutage } from './db/errors.ts'
import type { Feed } from './features/events/feed.ts'
import { eventsPlugin } from './features/events/plugin.ts'
import { type KeyChange, keysPlugin } from './features/keys/plugin.ts'
import { apiPlugin } from './http/api/api.ts'
import { compileWhenUsed } from './http/api/compile-when-used.ts'
import { openapiPlugin } from './http/api/openapi.ts'
import { countRequests } from './http/connection/closing.ts'
import { type BodyCapacity, type JsonBodyOptions, readJsonBodies } from './http/connection/json-bodies.ts'
import { noteRequests } from './http/connection/lost-answers.ts'
import { answerMalformed } from './http/connection/malformed.ts'
import { limitLoad } from './http/connection/overload.ts'
import { serverFactory } from './http/connection/server.ts'
import { trustedProxies } from './http/connection/trusted-proxies.ts'
import { closeAfterUnreadBody } from './http/connection/unread-body.ts'
import { rejectContentCodings } from './http/content-coding.ts'
import { allowOrigins, answerPreflights } from './http/cors.ts'
import { answerErrors, answerNotFound } from './http/errors.ts'
import { healthPlugin } from './http/health.ts'
import { authPlugin } from './http/identity/auth.ts'
import { bringsToken } from './http/identity/bearer.ts'
import { type SignInOptions, signInPlugin } from './http/identity/sign-in.ts'
import { type AddressLimit, answerUnreadable, enforceAddressLimit } from './http/limits.ts'
import { addressFor } from './http/location.ts'
import { loggingOptions, sendRequestId } from './http/logging.ts'
import { sendSecurityHeaders } from './http/security-headers.ts'
import { pagePlugin } from './http/static.ts'
import type { Identity } from './identity.ts'
import type { Limits } from './limits.ts'
import { legacyRestPlugin, restPlugin } from './protocols/rest/plugin.ts'
import { singleRequestPlugin } from './protocols/rest/single-request.ts'
import { announceRufh } from './protocols/rufh/discovery.ts'
import { rufhPlugin } from './protocols/rufh/plugin.ts'
import { tusPlugin } from './protocols/tus/plugin.ts'
import { type MetricsRoute, metricsPlugin } from './telemetry/http.ts'
import { version } from './version.ts'

const uploadsPath = '/files'
// Found through package.json, which is the same for the sources and for the bundle.
const pageFolder = join(dirname(findPackageJSON('..', import.meta.url) ?? ''), 'dist', 'web')

/** The parts that the routes use. */
export interface RouteParts {
  engine: RunningEngine
  identity: Identity
  limits: Limits
  admin: Admin
  /** The sign-in of the page in development mode; `null` otherwise. */
  signIn: Omit<SignInOptions, 'now'> | null
  now: () => Date
  parts: Record<string, () => Promise<void>>
  isDraining: () => boolean
  objectUrlOf: (key: string) => string | null
  metricsRoute: Omit<MetricsRoute, 'mayRead'>
  feed: Feed
  /** The gate and the memory budget that all bodies share. */
  bodies: BodyCapacity
}

/** A server with the limits of `config`, without routes. */
export function openHttp(config: Config): FastifyInstance {
  const http = fastify({
    ...loggingOptions({
      level: config.LOG_LEVEL,
      format: config.LOG_FORMAT,
      trustsProxy: config.TRUST_PROXY !== false,
    }),
    trustProxy: config.TRUST_PROXY,
    frameworkErrors: answerUnreadable,
    clientErrorHandler: answerMalformed,
    // For the JSON API; the engine reads files, within the limits of the policies.
    bodyLimit: 64 * 1024,
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
  compileWhenUsed(http)
  return http
}

/** Registers the limits that apply before the routes on every port: of the address, of the body, and of all requests at once. */
export function guardRequests(
  http: FastifyInstance,
  config: Config,
  { countAddress, json }: { countAddress: AddressLimit; json: JsonBodyOptions },
): void {
  const running = countRequests(http)
  sendRequestId(http)
  noteRequests(http)
  sendSecurityHeaders(http)
  enforceAddressLimit(http, countAddress)
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

/** Registers all routes of the server. */
export async function registerRoutes(
  http: FastifyInstance,
  config: Config,
  {
    engine,
    identity,
    limits,
    admin,
    signIn,
    now,
    parts,
    isDraining,
    objectUrlOf,
    metricsRoute,
    feed,
    bodies,
  }: RouteParts,
): Promise<void> {
  const { checks, identify, authorizer, keys, resumeTokens } = identity
  const onKeyChange = ({ event, key, by, from }: KeyChange) =>
    http.log.info({ keyId: key.id, keyName: key.name, by, from }, event)
  const authenticate = async (scope: FastifyInstance) => {
    await scope.register(authPlugin, { checks, identify })
    limits.countUsers(scope)
  }
  const publicUrl = config.PUBLIC_URL
  const cors = { origins: config.CORS_ORIGINS, headers: config.CORS_HEADERS, credentials: config.CORS_CREDENTIALS }
  const urlOf = (id: string, request: FastifyRequest) => addressFor(request, `${uploadsPath}/${id}`, publicUrl)
  const bodyIdleMs = config.BODY_IDLE_TIMEOUT
  const json = { idleMs: bodyIdleMs, room: bodies }
  const restOptions = { engine, publicUrl, resumeTokens, json }

  guardRequests(http, config, { countAddress: limits.countAddress, json })
  if (config.API_DOCS ?? config.isDevelopment) await http.register(openapiPlugin, { version })
  await http.register(healthPlugin, { checks: parts, isDraining, isReported: isOutage })
  const { METRICS_TOKEN: metricsToken } = config
  // Without METRICS_TOKEN and METRICS_PORT there is no such route: the address of a request proves nothing.
  if (config.METRICS_PORT === undefined && metricsToken !== undefined) {
    await http.register(metricsPlugin, { ...metricsRoute, mayRead: (request) => bringsToken(request, metricsToken) })
  }
  await http.register(pagePlugin, { folder: pageFolder })
  // With CORS headers on 404, a page of another origin sees the 404; without them its browser reports a network error.
  for (const prefix of ['/v1', '/api', uploadsPath]) {
    await http.register(
      async (scope) => {
        allowOrigins(scope, cors)
        answerNotFound(scope)
      },
      { prefix },
    )
  }
  await http.register(
    async (scope) => {
      // Before authentication, so that pages of other origins can read a 401 too.
      allowOrigins(scope, cors)
      answerPreflights(scope)
      await authenticate(scope)
      await scope.register(apiPlugin, { engine, policies: limits.policies, urlOf, objectUrlOf })
      await limits.registerOwn(scope)
      await scope.register(keysPlugin, {
        keys,
        now,
        roles: () => Object.keys(limits.policies().roles),
        onChange: onKeyChange,
      })
      await scope.register(restPlugin, restOptions)
      await scope.register(singleRequestPlugin, {
        engine,
        publicUrl,
        urlOf,
        objectUrlOf,
        bodyIdleMs,
        gate: bodies.gate,
      })
      await scope.register(eventsPlugin, { feed, authorizer })
      await scope.register(limits.registerAdmin, { prefix: '/admin' })
      await scope.register(admin.register, { prefix: '/admin' })
    },
    { prefix: '/v1' },
  )
  await http.register(
    async (scope) => {
      allowOrigins(scope, cors)
      answerPreflights(scope)
      await authenticate(scope)
      await scope.register(legacyRestPlugin, restOptions)
    },
    { prefix: '/api/upload' },
  )
  const endpoint = {
    engine,
    path: uploadsPath,
    publicUrl,
    resumeTokens,
    maxSize: limits.maxSize,
    interimResponses: config.INTERIM_RESPONSES,
  }
  // tus and RUFH share one path: the headers of a request tell which protocol it uses.
  await http.register(async (scope) => {
    allowOrigins(scope, cors)
    // A plain OPTIONS request names no protocol: its response announces both.
    announceRufh(scope, endpoint)
    await authenticate(scope)
    await scope.register(rufhPlugin, endpoint)
    await scope.register(tusPlugin, endpoint)
  })
  if (signIn !== null) await http.register(signInPlugin, { ...signIn, now })
}
