import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import cors from '@fastify/cors'
import fastify, { type FastifyHttpOptions, type FastifyInstance, type FastifyRequest, type RouteOptions } from 'fastify'
import type { Config } from './config.ts'
import { headSize, sniff } from './content/sniff.ts'
import { createBandwidth } from './core/bandwidth.ts'
import { createEngine, type EngineOptions } from './core/create-engine.ts'
import type { RunningEngine } from './core/engine.ts'
import { createMemoryBudget } from './core/memory-budget.ts'
import type { ObjectStore } from './core/ports.ts'
import { contentRules, creationRules } from './core/rules/index.ts'
import type { Actor } from './core/upload.ts'
import { type Database, openDatabase } from './db/open.ts'
import { sessionsIn } from './db/sessions.ts'
import { type Feed, openFeed } from './features/events/feed.ts'
import { eventsPlugin } from './features/events/plugin.ts'
import { type KeyChange, keysPlugin } from './features/keys/plugin.ts'
import { apiPlugin } from './http/api.ts'
import { authPlugin } from './http/auth.ts'
import { closeConnections, countRequests } from './http/closing.ts'
import { devTokenPlugin } from './http/dev-token.ts'
import { answerError, answerErrors } from './http/errors.ts'
import { healthPlugin } from './http/health.ts'
import { signToken } from './http/identity/secret.ts'
import { readJsonBodies } from './http/json-bodies.ts'
import { addressFor } from './http/location.ts'
import { loggingOptions, sendRequestId } from './http/logging.ts'
import { refuseMalformed, watchAnswers } from './http/malformed.ts'
import { openapiPlugin } from './http/openapi.ts'
import { limitLoad } from './http/overload.ts'
import { hearRefusals } from './http/refused.ts'
import { endSlowBodies } from './http/slow-body.ts'
import { pagePlugin } from './http/static.ts'
import { isFromThisMachine } from './http/this-machine.ts'
import { closeAfterUnreadBody } from './http/unread-body.ts'
import { type Identity, openIdentity } from './identity.ts'
import { startBackground } from './jobs/background.ts'
import type { DeliveredEvent } from './jobs/outbox.ts'
import { type Limits, openLimits } from './limits.ts'
import { leaseLocker } from './locks/lease.ts'
import { olderSpellingPlugin } from './protocols/rest/older-spelling.ts'
import { restPlugin } from './protocols/rest/plugin.ts'
import { announceRufh } from './protocols/rufh/discovery.ts'
import { rufhPlugin } from './protocols/rufh/plugin.ts'
import { tusPlugin } from './protocols/tus/plugin.ts'
import { openSteering, type Steering } from './steering.ts'
import { openStore } from './stores/index.ts'
import { openCounts } from './telemetry/counts.ts'
import { gaugesOf } from './telemetry/gauges.ts'
import {
  bringsToken,
  countRefusals,
  type MetricsRoute,
  metricsPlugin,
  metricsServer,
  watchRequests,
} from './telemetry/http.ts'
import { createMetrics, watchGauges } from './telemetry/metrics.ts'
import { noTracer, openTracer, type Tracer } from './telemetry/tracing.ts'
import { watchDatabase, watchLocker, watchSessions, watchStore } from './telemetry/watch.ts'
import { developer, tokenSecret } from './trial.ts'
import { version } from './version.ts'
import { whenReachable } from './when-reachable.ts'

export interface App {
  http: FastifyInstance
  /** What listens on METRICS_PORT, if there is one. */
  metricsHttp: FastifyInstance | null
  engine: RunningEngine
  /** What bearer tokens are signed with. */
  secret: string
  /** Who a trial's own token speaks for. */
  developer: Actor
  /** Takes nothing new, lets running requests save what they have, and closes everything. */
  stop(): Promise<void>
}

/** What a test puts in the place of what the configuration says. Who brings it closes it. */
export interface Overrides {
  store?: ObjectStore
  database?: Database
  now?: () => Date
  /** Told of every route, so that a test can know that it knows them all. */
  onRoute?: (route: RouteOptions) => void
}

const tokenSeconds = 30 * 24 * 60 * 60
const uploadsPath = '/files'
// As written or bundled, the package is the same.
const pageFolder = join(dirname(findPackageJSON('..', import.meta.url) ?? ''), 'dist', 'web')

/** Puts the house together: config → store, database, lock → engine → plugins. Everything is open and checked when it resolves. */
export async function buildApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const http = openHttp(config)
  const { log } = http
  if (overrides.onRoute) http.addHook('onRoute', overrides.onRoute)
  const metrics = createMetrics(version)
  const onFault = (error: unknown, facts = {}) => {
    metrics.faults.inc()
    log.error({ err: error, ...facts }, 'background work failed')
  }
  const now = overrides.now ?? (() => new Date())

  const tracer = tracerOf(config, onFault)
  const database = watchDatabase(overrides.database ?? (await openConfiguredDatabase(config, onFault)), metrics, tracer)
  const onRequest = (operation: string, code: string) => metrics.s3Requests.inc({ operation, code })
  const store = watchStore(overrides.store ?? openStore(config.STORE, config, { onRequest }), metrics, tracer)
  const reaching = {
    patienceMs: config.START_PATIENCE,
    onRetry: (error: unknown) => log.warn({ err: error }, 'waiting for what this server needs'),
  }
  await Promise.all([whenReachable(database.migrate, reaching), whenReachable(() => store.check(), reaching)])

  const sessions = watchSessions(sessionsIn(database), metrics)
  const leases = await leaseLocker({
    database,
    leaseMs: config.LEASE_TTL,
    waitMs: config.LOCK_WAIT,
    onFault,
    onSteal(uploadId) {
      metrics.steals.inc()
      log.warn({ uploadId }, 'took over an upload whose holder had died')
    },
  })
  const locker = watchLocker(leases, metrics, tracer)
  const budget = createMemoryBudget(config.MEMORY_BUDGET)
  const { maxObjectSize } = store.limits
  const limits = await openLimits(config, { database, maxObjectSize, log, onFault })
  const { policies, admitCreation } = limits
  const secret = await tokenSecret(config)
  const identity = await openIdentity(config, { database, secret, now, onFault })
  const { permit, nameObject } = identity
  const engine = engineOf(config, {
    sessions,
    store,
    locker,
    budget,
    policies,
    admitCreation,
    now,
    permit,
    nameObject,
    onFault,
    onBody(end, bytes) {
      metrics.bodies.inc({ end })
      metrics.received.inc(bytes)
    },
  })
  const feed = openFeed({ database, onFault })
  watchGauges(metrics, gaugesOf({ locker, budget, database, feed }))
  watchRequests(http, metrics)
  hearRefusals(http, countRefusals(metrics))
  tracer.watch(http)
  const objectUrlOf = (key: string) => store.publicUrl?.(key) ?? null
  const steering = openSteering({ database, engine, metrics, objectUrlOf, onFault })
  const metricsRoute = { metrics, refresh: openCounts(database, metrics) }

  let isDraining = false
  await register(http, config, {
    engine,
    identity,
    limits,
    steering,
    secret,
    now,
    parts: { database: () => database.check(), store: () => store.check() },
    isDraining: () => isDraining,
    objectUrlOf,
    metricsRoute,
    feed,
  })
  const metricsHttp = config.METRICS_PORT === undefined ? null : await metricsServer(metricsRoute)

  limits.recordRefusals(http)
  const stopBackground = await startBackground({
    database,
    engine,
    sessions,
    listeners: [logEvent],
    chores: { ...limits.chores, ...steering.chores },
    now,
    onFault,
  })

  function logEvent({ type, uploadId, data }: DeliveredEvent): void {
    const { ownerId, role, category, contentType, size } = data
    log.info({ type, uploadId, ownerId, role, category, contentType, size }, 'upload event')
  }

  // After the last request has been answered, from the engine down to what it stands on.
  http.addHook('onClose', async () => {
    log.debug('every request is answered')
    await metricsHttp?.close()
    feed.close()
    await stopBackground()
    await steering.close()
    await limits.close()
    log.debug('background work has ended')
    await engine.idle()
    await locker.close()
    log.debug('no lease is held')
    await identity.close()
    if (!overrides.store) await store.close()
    if (!overrides.database) await database.close()
    await tracer.close()
  })

  return {
    http,
    metricsHttp,
    engine,
    secret,
    developer,
    async stop() {
      isDraining = true
      engine.drain()
      await closeConnections(http)
    },
  }
}

/** The engine as `config` wants it. */
export function engineOf(
  config: Config,
  parts: Pick<
    EngineOptions,
    'sessions' | 'store' | 'locker' | 'policies' | 'admitCreation' | 'now' | 'permit' | 'nameObject' | 'onFault'
  > &
    Partial<Pick<EngineOptions, 'budget' | 'onBody'>>,
): RunningEngine {
  return createEngine({
    budget: createMemoryBudget(config.MEMORY_BUDGET),
    ...parts,
    rules: creationRules,
    content: config.CONTENT_CHECK ? { sniff, headSize, rules: contentRules } : undefined,
    bodiesAtOnce: config.BODIES_AT_ONCE,
    bandwidth: createBandwidth(config.BANDWIDTH || null),
    keyTemplate: config.KEY_TEMPLATE,
    partSize: config.PART_SIZE,
    partsInFlight: config.PARTS_IN_FLIGHT,
    bodyIdleMs: config.BODY_IDLE_TIMEOUT,
    minSpeed: config.MIN_SPEED,
    bodyTotalMs: config.BODY_TIMEOUT,
    finishWaitMs: config.FINISH_WAIT,
    newId: randomUUID,
  })
}

function tracerOf(config: Config, onFault: (error: unknown) => void): Tracer {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = config
  if (endpoint === undefined) return noTracer
  return openTracer({ endpoint, headers, service: config.OTEL_SERVICE_NAME, version, onFault })
}

/** The database that `config` names, not migrated yet. */
export function openConfiguredDatabase(config: Config, onFault: (error: unknown) => void): Promise<Database> {
  return openDatabase({
    url: config.DATABASE_URL,
    dataDir: join(config.DATA_DIR, 'postgres'),
    pool: config.DATABASE_POOL,
    patienceMs: config.DATABASE_PATIENCE,
    onFault,
  })
}

function openHttp(config: Config): FastifyInstance {
  const options: FastifyHttpOptions<Server> = {
    ...loggingOptions({ level: config.LOG_LEVEL, trustsProxy: config.TRUST_PROXY !== false }),
    trustProxy: config.TRUST_PROXY,
    frameworkErrors: answerError,
    clientErrorHandler: refuseMalformed,
    // Of the JSON API; files are read by the engine and have the limits of a policy.
    bodyLimit: 64 * 1024,
    // A request may take hours. What stalls is ended by the engine, which can tell a slow body from one that waits for us.
    requestTimeout: 0,
    http: {
      headersTimeout: config.HEADERS_TIMEOUT,
      connectionsCheckingInterval: Math.min(5000, config.HEADERS_TIMEOUT),
    },
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    // Who asks on an open connection while the server stops is told by the engine, and by HEAD how far an upload is.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 512 },
  }
  const http = fastify(options)
  http.server.maxConnections = config.CONNECTIONS_AT_ONCE
  return http
}

interface Rooms {
  engine: RunningEngine
  identity: Identity
  limits: Limits
  steering: Steering
  secret: string
  now: () => Date
  parts: Record<string, () => Promise<void>>
  isDraining: () => boolean
  objectUrlOf: (key: string) => string | null
  metricsRoute: Omit<MetricsRoute, 'mayRead'>
  feed: Feed
}

/** The table of contents of what the outside may ask. */
async function register(
  http: FastifyInstance,
  config: Config,
  { engine, identity, limits, steering, secret, now, parts, isDraining, objectUrlOf, metricsRoute, feed }: Rooms,
): Promise<void> {
  const { checks, identify, keys, resumeTokens } = identity
  const onKeyChange = ({ what, key, by, from }: KeyChange) =>
    http.log.info({ keyId: key.id, keyName: key.name, by, from }, what)
  const askWho = async (scope: FastifyInstance) => {
    limits.countAddresses(scope)
    await scope.register(authPlugin, { checks, identify })
    limits.countUsers(scope)
  }
  const publicUrl = config.PUBLIC_URL
  const urlOf = (id: string, request: FastifyRequest) => addressFor(request, `${uploadsPath}/${id}`, publicUrl)
  const restOptions = { engine, publicUrl, resumeTokens, bodyIdleMs: config.BODY_IDLE_TIMEOUT }

  const running = countRequests(http)
  watchAnswers(http.server)
  sendRequestId(http)
  closeAfterUnreadBody(http)
  endSlowBodies(http)
  readJsonBodies(http, config.BODY_IDLE_TIMEOUT)
  // Of any other type nothing is read, unless a protocol does it.
  http.addContentTypeParser('*', (_request, _payload, done) => done(null))
  answerErrors(http)
  limitLoad(http, config.REQUESTS_AT_ONCE, running)
  await http.register(openapiPlugin, { version })
  await http.register(healthPlugin, { parts, isDraining })
  if (config.METRICS_PORT === undefined) {
    const { METRICS_TOKEN: token } = config
    await http.register(metricsPlugin, {
      ...metricsRoute,
      mayRead: (request) => (token !== undefined && bringsToken(request, token)) || isFromThisMachine(request),
    })
  }
  await http.register(pagePlugin, { folder: pageFolder })
  await http.register(
    async (scope) => {
      // Before the token is asked for, so that a refusal too can be read by a page on another origin.
      await scope.register(cors, corsOptions(config))
      await askWho(scope)
      await scope.register(apiPlugin, { engine, policies: limits.policies, urlOf, objectUrlOf })
      await limits.registerMine(scope)
      await scope.register(keysPlugin, { keys, now, onChange: onKeyChange })
      await scope.register(restPlugin, restOptions)
      await scope.register(eventsPlugin, { feed })
      await scope.register(limits.registerAdmin, { prefix: '/admin' })
      await scope.register(steering.register, { prefix: '/admin' })
    },
    { prefix: '/v1' },
  )
  await http.register(
    async (scope) => {
      await scope.register(cors, corsOptions(config))
      await askWho(scope)
      await scope.register(olderSpellingPlugin, restOptions)
    },
    { prefix: '/api/upload' },
  )
  const endpoint = {
    engine,
    path: uploadsPath,
    publicUrl,
    origins: config.CORS_ORIGINS,
    resumeTokens,
    maxSize: limits.maxSize,
  }
  // Two dialects at one address: a request says by its headers which it speaks.
  await http.register(async (scope) => {
    // A plain OPTIONS asks for neither: whoever answers it tells of both.
    announceRufh(scope, endpoint)
    await askWho(scope)
    await scope.register(rufhPlugin, endpoint)
    await scope.register(tusPlugin, endpoint)
  })
  if (config.isTrial) {
    await http.register(devTokenPlugin, { developer, mint: (actor: Actor) => signToken(secret, actor, tokenSeconds) })
  }
}

function corsOptions({ CORS_ORIGINS }: Config) {
  return {
    origin: CORS_ORIGINS,
    // An OPTIONS that asks for nothing is no reason to answer in words of the plugin's own.
    strictPreflight: false,
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: [
      'Authorization',
      'Content-Type',
      'X-Request-Id',
      'X-Upload-Id',
      'X-Chunk-Index',
      'Content-MD5',
      'Content-Digest',
      'If-Match',
    ],
    exposedHeaders: ['X-Request-Id', 'Retry-After', 'Location', 'ETag', 'Upload-Resume-Token'],
    maxAge: 24 * 60 * 60,
  }
}
