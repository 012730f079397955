/* What the engine runs on, opened in the order in which the parts need each other, and closed in the opposite one. */
import { join } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { retryUntil } from '../async/retry-until.ts'
import type { Config } from '../config.ts'
import { type BodyGate, createBodyGate } from '../core/body/body-gate.ts'
import { createMemoryBudget, type MemoryBudget } from '../core/memory/memory-budget.ts'
import { guardStore } from '../core/pairing/guarded-store.ts'
import type { PairingState } from '../core/pairing/marker.ts'
import type { Locker } from '../core/ports/locks.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
import { type DatabaseClock, openClock } from '../db/clock.ts'
import { isOutage } from '../db/errors.ts'
import { type ClientConfig, type Database, type DatabaseOptions, openDatabase } from '../db/open.ts'
import type { Outage } from '../db/outage.ts'
import { pairingsIn } from '../db/pairing.ts'
import { uploadRepository } from '../db/uploads.ts'
import { openLocker } from '../locks/index.ts'
import { prepareFolder } from '../stores/folder.ts'
import { openStore } from '../stores/index.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracer } from '../telemetry/tracing.ts'
import { watchDatabase, watchLocker, watchStore, watchUploads } from '../telemetry/watch.ts'
import { openPairing, type Pairing } from './pairing/pairing.ts'

/** Replacements of the configured parts; the caller closes what it brings. */
export interface Overrides {
  /** How to connect to Postgres, in place of DATABASE_URL. */
  connection?: ClientConfig | undefined
  store?: ObjectStore
  database?: Database
  /** Replaces the clock of the database. */
  now?: (() => Date) | undefined
  /** The clock of this machine, in milliseconds. */
  wallMs?: () => number
}

export interface FoundationOptions extends Overrides {
  metrics: Metrics
  tracer: Tracer
  log: FastifyBaseLogger
  onError(error: unknown): void
  /** Called for every failed attempt that will be followed by another one. */
  onRetry(error: unknown): void
}

export interface Foundation {
  database: Database
  /** The paired store; the engine uses no other. */
  store: ObjectStore
  pairing: Pairing
  clock: DatabaseClock
  now(): Date
  uploads: UploadRepository
  locker: Locker
  /** The memory budget and the gate that all bodies share. */
  budget: MemoryBudget
  gate: BodyGate
  /** Releases all leases. */
  closeLocks(): Promise<void>
  /** Closes store and database; nothing may use them any more. */
  close(): Promise<void>
}

/** Opens everything and migrates the database; waits up to START_TIMEOUT for a database or store that is not reachable. */
export async function openFoundation(config: Config, options: FoundationOptions): Promise<Foundation> {
  const { metrics, tracer, log, onError, onRetry } = options
  const opened = options.database ?? (await openConfiguredDatabase(config, { onError, onOutage }, options.connection))
  const database = watchDatabase(opened, metrics, tracer)
  const onRequest = (operation: string, code: string) => metrics.s3Requests.inc({ operation, code })
  const bareStore = watchStore(options.store ?? openStore(config.STORE, config, { onRequest }), metrics, tracer)
  const retrying = { timeoutMs: config.START_TIMEOUT, onRetry }
  await retryUntil(database.migrate, retrying)
  const pairing = await retryUntil(
    () => openPairing({ pairings: pairingsIn(database), store: bareStore, onChange: logPairing, onError }),
    retrying,
  )
  const store = guardStore(bareStore, pairing)
  const clock = await openClock({ database, wallMs: options.wallMs, onSkew: logSkew, onError })
  await pairing.advance().catch(onError)
  const locker = await openLocker({
    database,
    leaseMs: config.LEASE_TTL,
    waitMs: config.LOCK_WAIT,
    onError,
    onTakeover(uploadId) {
      metrics.takeovers.inc()
      log.warn({ uploadId }, 'took over the lease of a server that died')
    },
  })
  const budget = createMemoryBudget(config.MEMORY_BUDGET)
  store.notices?.().then((notices) => {
    for (const notice of notices) log.warn(notice)
  }, onError)

  function onOutage(outage: Outage): void {
    if (outage.state === 'lost') log.warn({ reason: outage.reason }, 'database lost; retrying until it answers')
    else log.info({ afterMs: outage.afterMs }, 'database restored')
  }

  function logPairing(pairingState: PairingState): void {
    if (pairingState.state === 'paired') log.info('the store is paired with the database again')
    else
      log.error(
        { state: pairingState.state, reason: pairingState.reason },
        'the store is not paired with the database; not ready',
      )
  }

  function logSkew(reason: string | null): void {
    if (reason) log.error({ reason }, 'the clock of this server is wrong; not ready')
    else log.info('the clock of this server is right again')
  }

  return {
    database,
    store,
    pairing,
    clock,
    now: options.now ?? clock.now,
    uploads: watchUploads(uploadRepository(database), metrics, tracer),
    locker: watchLocker(locker, tracer),
    budget,
    gate: createBodyGate(config.BODIES_AT_ONCE, budget),
    async closeLocks() {
      await locker.close()
      log.debug('all leases are released')
      await pairing.close()
    },
    async close() {
      clock.close()
      if (!options.store) await store.close()
      if (!options.database) await database.close()
    },
  }
}

/** Returns a reporter of errors that no request waits for; an outage of the database is logged once, by the database. */
export function backgroundErrors(log: FastifyBaseLogger, metrics: Metrics): (error: unknown, facts?: object) => void {
  return (error, facts = {}) => {
    metrics.backgroundErrors.inc()
    if (isOutage(error)) return
    log.error({ err: error, ...facts }, 'background work failed')
  }
}

/** The database that `config` names, not migrated yet. @throws UnusableFolder when it would be in DATA_DIR */
export async function openConfiguredDatabase(
  config: Config,
  listeners: Pick<DatabaseOptions, 'onError' | 'onOutage'>,
  connection?: ClientConfig,
): Promise<Database> {
  if (config.DATABASE_URL === undefined) await prepareFolder(config.DATA_DIR)
  return openDatabase({
    url: config.DATABASE_URL,
    connection,
    schema: config.DATABASE_SCHEMA,
    dataDir: join(config.DATA_DIR, 'postgres'),
    pool: config.DATABASE_POOL,
    timeoutMs: config.DATABASE_TIMEOUT,
    ...listeners,
  })
}
