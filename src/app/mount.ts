import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import type { RunningEngine } from '../core/engine.ts'
import { largestSize } from '../core/policy/policy.ts'
import { isOutage } from '../db/errors.ts'
import { findInProgress } from '../db/in-progress.ts'
import { createApiKeys } from '../features/api-keys/index.ts'
import type { Feature, FeatureDeps } from '../features/feature.ts'
import type { Hooks } from '../features/hooks.ts'
import { features as creators } from '../features/index.ts'
import { onErrorAnswered } from '../http/error-listeners.ts'
import { healthPlugin } from '../http/health.ts'
import type { Identify } from '../http/identity/auth.ts'
import { resumeTokens } from '../http/identity/resume.ts'
import { addressBelow } from '../http/location.ts'
import { startBackground, startNothing } from '../jobs/background.ts'
import type { DeliveredEvent } from '../jobs/outbox.ts'
import { openPolicyCache } from '../policies/cache.ts'
import { policyVersionsIn } from '../policies/versions.ts'
import { openCounts } from '../telemetry/counts.ts'
import { gaugesOf } from '../telemetry/gauges.ts'
import { countErrors, type MetricsRoute, watchRequests } from '../telemetry/http.ts'
import { createMetrics, watchCounters, watchGauges } from '../telemetry/metrics.ts'
import { type Peers, snapshotOf } from '../telemetry/snapshots.ts'
import { totalsOf } from '../telemetry/totals.ts'
import { noTracer, openTracer, type Tracer } from '../telemetry/tracing.ts'
import { version } from '../version.ts'
import { verifyingSecrets } from './development.ts'
import { engineOf } from './engine.ts'
import { backgroundErrors, type Foundation, type Overrides, openFoundation } from './foundation.ts'
import { guardRequests } from './http.ts'
import { authOf, authorizerOf, inspectionOf } from './identity.ts'
import { registerRoutes } from './routes.ts'

/** What a scope is given once everything is open, and before the routes of the API. */
export interface Opened extends Pick<Foundation, 'database' | 'now'> {
  secret: string
  metricsRoute: Omit<MetricsRoute, 'mayRead'>
}

export interface MountOptions extends Overrides {
  /** Functions of the app around, in place of a module of HOOKS. */
  hooks?: Hooks
  /** Finds the user of a request in place of every token: the app around decides alone, and no tokens are issued. */
  identify?: Identify
  /** Registers further routes, within the limits of all requests. */
  addRoutes?(opened: Opened): Promise<void>
  /** The other workers of this server, if it has several. */
  peers?: Peers | undefined
}

/** The uploads of one scope. */
export interface Mounted extends Opened {
  engine: RunningEngine
  /** Resolves when the background work has started too; rejects when it cannot start. */
  working: Promise<void>
  /** Registers the limits of all requests in another server of this process. */
  guard(http: FastifyInstance): void
  /** Ends every body that is being read, which saves what arrived, and refuses new ones; closing the scope does so too. */
  drain(): void
}

/**
 * Opens store, database, engine and features, and serves the protocols and the API in `http`, below its prefix. When it resolves,
 * everything that requests need is open and checked. Closes with `http`.
 */
export async function mount(http: FastifyInstance, config: Config, options: MountOptions = {}): Promise<Mounted> {
  const { log } = http
  const metrics = createMetrics(version)
  const onError = backgroundErrors(log, metrics)
  const onRetry = (error: unknown) => {
    if (!isOutage(error)) log.warn({ err: error }, 'waiting for the database or the store')
  }
  const tracer = tracerOf(config, onError)
  const foundation = await openFoundation(config, { ...options, metrics, tracer, log, onError, onRetry })
  const { database, store, pairing, clock, now, uploads, locker, budget, gate } = foundation
  const policyVersions = policyVersionsIn(database)
  const policyCache = await openPolicyCache({
    database,
    versions: policyVersions,
    initialPolicies: config.POLICIES,
    onError,
    onChange: ({ version, author }) => log.info({ version, author }, 'another version of the policies is active'),
  })
  const policies = () => policyCache.current().document
  const secrets = (await verifyingSecrets(config)) as [string, ...string[]]
  const [secret] = secrets
  const { maxObjectSize } = store.limits
  const objectUrlOf = (key: string) => store.publicUrl?.(key) ?? null
  const features: Feature[] = []
  const authorize = authorizerOf(features)
  const totals = () => totalsOf(metrics)
  const deps: FeatureDeps<Config> = {
    settings: config,
    hooks: options.hooks ?? null,
    database,
    policies: policyCache,
    policyVersions,
    maxObjectSize,
    secrets,
    store,
    totals,
    objectUrlOf,
    authorize,
    now,
    log,
    onError,
  }
  // API keys are tokens too.
  const wanted = options.identify ? creators.filter((create) => create !== createApiKeys) : creators
  for (const create of wanted) features.push(await create(deps))

  const engine = engineOf(config, {
    uploads,
    store,
    locker,
    budget,
    gate,
    policies,
    checkCreation(actor) {
      for (const feature of features) feature.checkCreation?.(actor)
    },
    confirmStore: pairing.confirmForCreation,
    // After a restore of the database time stands still, so that nothing expires.
    now: () => pairing.restoredAt() ?? now(),
    authorizer: authorize,
    inspect: inspectionOf(features),
    nameObject: features.find(({ nameObject }) => nameObject)?.nameObject,
    onError,
    onBody(end, bytes) {
      metrics.bodies.inc({ end })
      metrics.received.inc(bytes)
    },
  })
  watchGauges(metrics, gaugesOf({ locker, budget, database }))
  for (const { gauges, counters } of features) {
    watchGauges(metrics, gauges ?? {})
    watchCounters(metrics, counters ?? {})
  }
  watchRequests(http, metrics)
  onErrorAnswered(http, countErrors(metrics))
  tracer.watch(http)

  const bodies = { gate, budget }
  const json = { idleMs: config.BODY_IDLE_TIMEOUT, capacity: bodies }
  const { peers } = options
  peers?.offer(() => snapshotOf(metrics))
  const metricsRoute = { metrics, refresh: openCounts(() => findInProgress(database), metrics), peers }
  let isDraining = false
  const guard = (server: FastifyInstance) =>
    guardRequests(server, config, {
      json,
      addHooks(scope) {
        for (const feature of features) feature.hooks?.(scope)
      },
    })
  addressBelow(http)
  guard(http)
  await options.addRoutes?.({ database, now, secret, metricsRoute })
  await http.register(healthPlugin, {
    checks: { database: () => database.check(), store: () => pairing.check(), clock: () => clock.check() },
    isDraining: () => isDraining,
    isReported: isOutage,
  })
  await registerRoutes(http, config, {
    engine,
    features,
    auth: options.identify ? { checks: [], identify: options.identify } : authOf(config, features, secrets, clock.now),
    resumeTokens: options.identify ? undefined : resumeTokens(secret),
    policies,
    maxSize: () => Math.min(largestSize(policies()), maxObjectSize),
    objectUrlOf,
    bodies,
    json,
  })
  const advancePairing = { name: 'advance-pairing', every: 'minute', run: pairing.advance } as const
  // One worker does it for all: each further one would only ask the database whether there is something to do.
  const hasBackground = config.worker === null || config.worker === 1
  const start = hasBackground ? startBackground : startNothing
  const background = start({
    database,
    engine,
    uploads,
    store,
    mayRemove: pairing.mayRemove,
    listeners: [logEvent, ...features.flatMap(({ listener }) => listener ?? [])],
    batchListeners: features.flatMap(({ batchListener }) => batchListener ?? []),
    jobs: [...features.flatMap(({ jobs }) => jobs ?? []), advancePairing],
    now,
    onError,
    onRetry,
  })

  function logEvent({ type, uploadId, data }: DeliveredEvent): void {
    const { ownerId, role, category, contentType, size } = data
    log.info({ type, uploadId, ownerId, role, category, contentType, size }, 'upload event')
  }

  function drain(): void {
    isDraining = true
    engine.drain()
  }

  http.addHook('preClose', async () => drain())
  // Runs after the last response; closes the engine before the parts that it depends on.
  http.addHook('onClose', async () => {
    log.debug('all requests are answered')
    await background.close()
    log.debug('background work has ended')
    await engine.drained()
    await foundation.closeLocks()
    for (const feature of features.toReversed()) await feature.close?.()
    await policyCache.close()
    await foundation.close()
    await tracer.close()
  })

  return { database, now, secret, metricsRoute, engine, working: background.working, guard, drain }
}

function tracerOf(config: Config, onError: (error: unknown) => void): Tracer {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = config
  if (endpoint === undefined) return noTracer
  return openTracer({ endpoint, headers, service: config.OTEL_SERVICE_NAME, version, onError })
}
