/*
 * A server for the tests of apps that upload: the engine, the protocols and their limits are those of Landfall, and store, uploads and
 * locks are in memory. What needs the database is not there: API keys, policies that change, usage, activity, events as a stream, the
 * audit log, administration.
 */
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { engineOf } from '../app/engine.ts'
import { guardRequests, openHttp } from '../app/http.ts'
import { authorizerOf, inspectionOf } from '../app/identity.ts'
import { registerRoutes } from '../app/routes.ts'
import { createBodyGate } from '../core/body/body-gate.ts'
import { createMemoryBudget } from '../core/memory/memory-budget.ts'
import { largestSize } from '../core/policy/policy.ts'
import { type Authenticate, identifyBy } from '../embed/authenticate.ts'
import { configOf } from '../embed/config-of.ts'
import { hooksOf } from '../embed/mount-uploads.ts'
import type { AppUser, UploadsOptions } from '../embed/options.ts'
import type { Feature } from '../features/feature.ts'
import { typeHooks } from '../features/operator-hooks/typed.ts'
import { addressBelow } from '../http/location.ts'
import { finishUploads } from '../jobs/finish-uploads.ts'
import { sweep } from '../jobs/sweep.ts'
import { sweepOrphans } from '../jobs/sweep-orphans.ts'
import { createLocker } from '../locks/locker.ts'
import { memoryLeases } from '../locks/memory.ts'
import { createDelivery } from './delivery.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { type RequestFault, requestFaults } from './request-faults.ts'
import { memoryUploads } from './uploads/memory-uploads.ts'
import type { MemoryEvent } from './uploads/rows.ts'

/** As for `landfall/fastify`, without what says where state is. */
export interface TestServerOptions<User extends AppUser | undefined = undefined>
  extends Omit<UploadsOptions<User>, 'store' | 'database' | 'connections' | 'schema' | 'secret'> {
  /** Default: an empty one, whose parts may be as small as five bytes. */
  store?: MemoryStore
  /** The path below which everything is. Default: none. */
  prefix?: string
  /** The clock by which uploads expire. Default: that of this machine. */
  now?: () => Date
}

export interface TestServer {
  /** Where it listens, with the prefix: tus clients use `${url}/files`. */
  url: string
  /** The files are in its `objects`, by key. */
  store: MemoryStore
  /** What has happened to uploads, the oldest first. */
  events: readonly MemoryEvent[]
  /** Errors of work that no request waited for, such as a hook that failed. */
  errors: unknown[]
  /** Lets the next requests meet these faults. @returns `left`, those that have not happened yet */
  script(faults: RequestFault[]): { left(): RequestFault[] }
  /** Does at once what a server does every minute: finish, expire, clean up, and deliver events again. */
  runJobs(): Promise<void>
  /** Ends every connection, and closes. */
  close(): Promise<void>
}

// Without a login, every request is one of this user's.
const everyone: AppUser = { id: 'user', role: 'creator' }

/** Opens a server on a free port of this machine. @throws ConfigError when the options have a problem */
export async function openTestServer<User extends AppUser | undefined = undefined>(
  options: TestServerOptions<User> = {},
): Promise<TestServer> {
  const { store = memoryStore(), prefix = '', now = () => new Date(), settings, authenticate, ...others } = options
  const config = await configOf({
    ...others,
    store,
    // Names no database that is asked: with it, the limits are those of production.
    database: 'postgres://memory/',
    secret: randomBytes(32).toString('hex'),
    settings: { LOG_LEVEL: 'silent', ...settings },
  })
  const errors: unknown[] = []
  const onError = (error: unknown) => void errors.push(error)
  const hooks: Feature = typeHooks(hooksOf(options), config.HOOK_TIMEOUT)
  const features = [hooks]
  const delivery = createDelivery(hooks.listener, onError)
  const uploads = memoryUploads(delivery.add)
  const locker = await createLocker(memoryLeases(uploads.leases), {
    leaseMs: config.LEASE_TTL,
    waitMs: config.LOCK_WAIT,
    onError,
  })
  const budget = createMemoryBudget(config.MEMORY_BUDGET)
  const gate = createBodyGate(config.BODIES_AT_ONCE, budget)
  const policies = () => config.POLICIES
  const engine = engineOf(config, {
    uploads,
    store,
    locker,
    budget,
    gate,
    policies,
    now,
    authorizer: authorizerOf(features),
    inspect: inspectionOf(features),
    nameObject: hooks.nameObject,
    onError,
  })
  const faults = requestFaults()
  const http = openHttp(config)
  await http.register(serveUploads, { prefix })
  http.addHook('preClose', async () => engine.drain())
  http.addHook('onClose', async () => {
    await engine.drained()
    await locker.close()
    await delivery.deliver()
  })
  await http.listen({ host: '127.0.0.1', port: 0 })

  async function serveUploads(scope: FastifyInstance): Promise<void> {
    const bodies = { gate, budget }
    const json = { idleMs: config.BODY_IDLE_TIMEOUT, capacity: bodies }
    addressBelow(scope)
    guardRequests(scope, config, { json, addHooks: faults.meetIn })
    await registerRoutes(scope, config, {
      engine,
      features,
      auth: {
        checks: [],
        identify: identifyBy((authenticate as Authenticate | undefined) ?? (() => everyone), config.HOOK_TIMEOUT),
      },
      resumeTokens: undefined,
      policies,
      maxSize: () => Math.min(largestSize(policies()), store.limits.maxObjectSize),
      objectUrlOf: () => null,
      bodies,
      json,
    })
  }

  return {
    url: `http://127.0.0.1:${(http.server.address() as AddressInfo).port}${prefix}`,
    store,
    events: uploads.events,
    errors,
    script: faults.add,
    async runJobs() {
      // Without the pause that a server leaves to the request that may still be finishing the upload.
      await finishUploads(engine, { ...uploads, findUnfinished: (_, limit) => uploads.findUnfinished(-1, limit) })
      await sweep(engine, uploads, now())
      await sweepOrphans(engine, uploads, store)
      await delivery.deliver()
    },
    async close() {
      engine.drain()
      http.server.closeAllConnections()
      await http.close()
    },
  }
}
