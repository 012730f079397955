import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { openAdmin } from './admin.ts'
import { startBackgroundWork } from './background-work.ts'
import type { Config } from './config.ts'
import { createBandwidth } from './core/body/bandwidth.ts'
import { createBodyGate } from './core/body/body-gate.ts'
import { createEngine } from './core/create-engine.ts'
import type { RunningEngine } from './core/engine.ts'
import type { EngineOptions } from './core/engine-options.ts'
import { createMemoryBudget } from './core/memory/memory-budget.ts'
import { guardStore } from './core/pairing/guarded-store.ts'
import type { PairingState } from './core/pairing/marker.ts'
import { contentRules, creationRules } from './core/policy/rules/index.ts'
import type { ObjectStore } from './core/ports/object-store.ts'
import { openClock } from './db/clock.ts'
import { isOutage } from './db/errors.ts'
import { findInProgress } from './db/in-progress.ts'
import { type Database, type DatabaseOptions, openDatabase } from './db/open.ts'
import type { Outage } from './db/outage.ts'
import { pairingsIn } from './db/pairing.ts'
import { uploadRepository } from './db/uploads.ts'
import { signInFolder, tokenRules, verifyingSecrets } from './development.ts'
import { writeAudit } from './features/audit/log.ts'
import { openFeed } from './features/events/feed.ts'
import { closeConnections } from './http/connection/closing.ts'
import { onErrorAnswered } from './http/error-listeners.ts'
import { signToken } from './http/identity/secret.ts'
import type { SignInOptions } from './http/identity/sign-in.ts'
import { redeemSignInCode } from './http/identity/sign-in-codes.ts'
import { openIdentity } from './identity.ts'
import type { DeliveredEvent } from './jobs/outbox.ts'
import { openLimits } from './limits.ts'
import { openLocker } from './locks/index.ts'
import { sniff, sniffLength } from './media/sniff.ts'
import { openPairing } from './pairing.ts'
import { retryUntil } from './retry-until.ts'
import { guardRequests, openHttp, registerRoutes } from './routes.ts'
import { prepareFolder } from './stores/folder.ts'
import { openStore } from './stores/index.ts'
import { openCounts } from './telemetry/counts.ts'
import { gaugesOf } from './telemetry/gauges.ts'
import { countErrors, metricsServer, watchRequests } from './telemetry/http.ts'
import { createMetrics, watchGauges } from './telemetry/metrics.ts'
import { noTracer, openTracer, type Tracer } from './telemetry/tracing.ts'
import { watchDatabase, watchLocker, watchStore, watchUploads } from './telemetry/watch.ts'
import { version } from './version.ts'

export interface App {
  http: FastifyInstance
  /** The server on METRICS_PORT, if that is set. */
  metricsHttp: FastifyInstance | null
  engine: RunningEngine
  /** The secret that signs bearer tokens. */
  secret: string
  /** Resolves when the background work has started too; rejects when it cannot start. */
  working: Promise<void>
  /** Accepts no new requests, lets running ones save the bytes they received, and closes everything. */
  stop(): Promise<void>
}

/** Replacements for tests, which close them themselves. */
export interface Overrides {
  store?: ObjectStore
  database?: Database
  /** Replaces the clock of the database. */
  now?: (() => Date) | undefined
  /** The clock of this machine, in milliseconds. */
  wallMs?: () => number
  /** Called for every route, so that a test can check that it covers all of them. */
  onRoute?: (route: RouteOptions) => void
}

/** Assembles a server: config → store, database, lock → engine → plugins. When it resolves, everything that requests need is open and checked. */
export async function buildApp(config: Config, overrides: Overrides = {}): Promise<App> {
  const http = openHttp(config)
  const { log } = http
  if (overrides.onRoute) http.addHook('onRoute', overrides.onRoute)
  const metrics = createMetrics(version)
  const onError = (error: unknown, facts = {}) => {
    metrics.backgroundErrors.inc()
    // Logged by onOutage, once for all work that it stops.
    if (isOutage(error)) return
    log.error({ err: error, ...facts }, 'background work failed')
  }

  function onOutage(outage: Outage): void {
    if (outage.state === 'lost') log.warn({ reason: outage.reason }, 'database lost; retrying until it answers')
    else log.info({ afterMs: outage.afterMs }, 'database restored')
  }

  const tracer = tracerOf(config, onError)
  const opened = overrides.database ?? (await openConfiguredDatabase(config, { onError, onOutage }))
  const database = watchDatabase(opened, metrics, tracer)
  const onRequest = (operation: string, code: string) => metrics.s3Requests.inc({ operation, code })
  const bareStore = watchStore(overrides.store ?? openStore(config.STORE, config, { onRequest }), metrics, tracer)
  const onRetry = (error: unknown) => {
    if (!isOutage(error)) log.warn({ err: error }, 'waiting for the database or the store')
  }
  const retryOptions = { timeoutMs: config.START_TIMEOUT, onRetry }
  await retryUntil(database.migrate, retryOptions)
  const pairing = await retryUntil(
    () => openPairing({ pairings: pairingsIn(database), store: bareStore, onChange: logPairing, onError }),
    retryOptions,
  )
  const store = guardStore(bareStore, pairing)

  const clock = await openClock({ database, wallMs: overrides.wallMs, onSkew: logSkew, onError })
  const now = overrides.now ?? clock.now
  await pairing.advance().catch(onError)
  const uploads = watchUploads(uploadRepository(database), metrics, tracer)
  const openedLocker = await openLocker({
    database,
    leaseMs: config.LEASE_TTL,
    waitMs: config.LOCK_WAIT,
    onError,
    onTakeover(uploadId) {
      metrics.takeovers.inc()
      log.warn({ uploadId }, 'took over the lease of a server that died')
    },
  })
  const locker = watchLocker(openedLocker, tracer)
  const budget = createMemoryBudget(config.MEMORY_BUDGET)
  const gate = createBodyGate(config.BODIES_AT_ONCE, budget)
  const { maxObjectSize } = store.limits
  const secrets = await verifyingSecrets(config)
  const limits = await openLimits(config, { database, secret: secrets[0]!, maxObjectSize, log, onError })
  const { policies, checkCreation } = limits
  const identity = await openIdentity(config, { database, secrets, now, tokenNow: clock.now, onError })
  const { authorizer, nameObject } = identity
  const engine = engineOf(config, {
    uploads,
    store,
    locker,
    budget,
    gate,
    policies,
    checkCreation,
    confirmStore: pairing.confirmForCreation,
    // After a restore of the database time stands still, so that nothing expires.
    now: () => pairing.restoredAt() ?? now(),
    authorizer,
    nameObject,
    onError,
    onBody(end, bytes) {
      metrics.bodies.inc({ end })
      metrics.received.inc(bytes)
    },
  })
  const feed = openFeed({ database, onError })
  watchGauges(metrics, gaugesOf({ locker, budget, database, feed }))
  watchRequests(http, metrics)
  onErrorAnswered(http, countErrors(metrics))
  tracer.watch(http)
  const objectUrlOf = (key: string) => store.publicUrl?.(key) ?? null
  const admin = openAdmin({ database, engine, metrics, objectUrlOf, onError })
  const metricsRoute = { metrics, refresh: openCounts(() => findInProgress(database), metrics) }

  let isDraining = false
  await registerRoutes(http, config, {
    engine,
    identity,
    limits,
    admin,
    signIn: config.isDevelopment ? signInOf(config, database, secrets[0]!) : null,
    now,
    parts: { database: () => database.check(), store: () => pairing.check(), clock: () => clock.check() },
    isDraining: () => isDraining,
    objectUrlOf,
    metricsRoute,
    feed,
    bodies: { gate, budget },
  })
  const metricsHttp = config.METRICS_PORT === undefined ? null : await openMetrics()

  limits.recordRejections(http)
  const { mayRemove } = pairing
  const parts = { database, engine, uploads, store, mayRemove, listeners: [logEvent], now, onError }
  const background = startBackgroundWork(
    { ...parts, periodicJobs: { ...limits.periodicJobs, ...admin.periodicJobs, 'advance-pairing': pairing.advance } },
    onRetry,
  )

  /** With the same limits as PORT: any client may reach this port too. */
  async function openMetrics(): Promise<FastifyInstance> {
    const server = openHttp(config)
    const json = { idleMs: config.BODY_IDLE_TIMEOUT, room: { gate, budget } }
    guardRequests(server, config, { countAddress: limits.countAddress, json })
    return metricsServer(server, metricsRoute)
  }

  function logPairing(pairingState: PairingState): void {
    if (pairingState.status === 'paired') log.info('the store is paired with the database again')
    else
      log.error(
        { state: pairingState.status, reason: pairingState.reason },
        'the store is not paired with the database; not ready',
      )
  }

  function logSkew(reason: string | null): void {
    if (reason) log.error({ reason }, 'the clock of this server is wrong; not ready')
    else log.info('the clock of this server is right again')
  }

  store.notices?.().then((notices) => {
    for (const notice of notices) log.warn(notice)
  }, onError)

  function logEvent({ type, uploadId, data }: DeliveredEvent): void {
    const { ownerId, role, category, contentType, size } = data
    log.info({ type, uploadId, ownerId, role, category, contentType, size }, 'upload event')
  }

  // Runs after the last response; closes the engine before the parts that it depends on.
  http.addHook('onClose', async () => {
    log.debug('all requests are answered')
    await metricsHttp?.close()
    feed.close()
    await background.close()
    await admin.close()
    await limits.close()
    log.debug('background work has ended')
    await engine.drained()
    await locker.close()
    log.debug('all leases are released')
    await pairing.close()
    await identity.close()
    clock.close()
    if (!overrides.store) await store.close()
    if (!overrides.database) await database.close()
    await tracer.close()
  })

  return {
    http,
    metricsHttp,
    engine,
    secret: secrets[0]!,
    working: background.working,
    async stop() {
      isDraining = true
      engine.drain()
      await closeConnections(http)
    },
  }
}

/** The sign-in of the page in development mode: codes in DATA_DIR, and an audit entry for each token before it is issued. */
function signInOf(config: Config, database: Database, secret: string): Omit<SignInOptions, 'now'> {
  const folder = signInFolder(config)
  return {
    redeem: (code, now) => redeemSignInCode(folder, code, now),
    sign: (actor, seconds) => signToken(secret, actor, seconds, tokenRules(config)),
    onIssue: (by) =>
      writeAudit(database, [{ action: 'token.issue', isAllowed: true, by, note: 'sign-in link of development mode' }]),
  }
}

/** The engine with the settings of `config`. */
export function engineOf(
  config: Config,
  parts: Pick<
    EngineOptions,
    | 'uploads'
    | 'store'
    | 'locker'
    | 'policies'
    | 'checkCreation'
    | 'confirmStore'
    | 'now'
    | 'authorizer'
    | 'nameObject'
    | 'onError'
  > &
    Partial<Pick<EngineOptions, 'budget' | 'gate' | 'onBody'>>,
): RunningEngine {
  return createEngine({
    budget: createMemoryBudget(config.MEMORY_BUDGET),
    ...parts,
    rules: creationRules,
    contentCheck: config.CONTENT_CHECK ? { sniff, sniffLength, rules: contentRules } : undefined,
    bandwidth: createBandwidth(config.BANDWIDTH || null),
    keyTemplate: config.KEY_TEMPLATE,
    partSize: config.PART_SIZE,
    chunkSize: config.CHUNK_SIZE,
    partsInFlight: config.PARTS_IN_FLIGHT,
    bodyIdleMs: config.BODY_IDLE_TIMEOUT,
    minSpeed: config.MIN_SPEED,
    bodyTotalMs: config.BODY_TIMEOUT,
    finishWaitMs: config.FINISH_WAIT,
    lossConfirmMs: config.LOSS_CONFIRM,
    deleteGraceMs: config.DELETE_GRACE,
    newId: randomUUID,
  })
}

function tracerOf(config: Config, onError: (error: unknown) => void): Tracer {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = config
  if (endpoint === undefined) return noTracer
  return openTracer({ endpoint, headers, service: config.OTEL_SERVICE_NAME, version, onError })
}

/** The database that `config` names, not migrated yet. @throws UnusableFolder when it would be in DATA_DIR */
export async function openConfiguredDatabase(
  config: Config,
  listeners: Pick<DatabaseOptions, 'onError' | 'onOutage'>,
): Promise<Database> {
  if (config.DATABASE_URL === undefined) await prepareFolder(config.DATA_DIR)
  return openDatabase({
    url: config.DATABASE_URL,
    dataDir: join(config.DATA_DIR, 'postgres'),
    pool: config.DATABASE_POOL,
    timeoutMs: config.DATABASE_TIMEOUT,
    ...listeners,
  })
}
