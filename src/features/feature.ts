import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Authorizer } from '../core/access/authorization.ts'
import type { RunningEngine } from '../core/engine.ts'
import type { NameObject } from '../core/object-key.ts'
import type { ContentCheck } from '../core/policy/content-check.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { Actor } from '../core/upload.ts'
import type { Database } from '../db/open.ts'
import type { Identify, TokenCheck } from '../http/identity/auth.ts'
import type { BatchListener, Listener } from '../jobs/outbox.ts'
import type { Job } from '../jobs/queue.ts'
import type { PolicyCache } from '../policies/cache.ts'
import type { PolicyVersions } from '../policies/versions.ts'
import type { Hooks } from './hooks.ts'

/**
 * What a feature adds to a server. Every member is optional. The features are asked in the order of `features/index.ts`, and closed in the
 * opposite order.
 */
export interface Feature {
  /** Routes under `/v1`, in a scope of their own; `request.actor` is set. */
  routes?(scope: FastifyInstance, engine: RunningEngine): Promise<void>
  /** Routes under `/v1/admin`, in a scope of their own. They decide which administrators they serve: `http/identity/admin.ts`. */
  adminRoutes?(scope: FastifyInstance, engine: RunningEngine): Promise<void>
  /** Routes at the root, in a scope of their own, for clients without a token: their URLs say what they may have. */
  openRoutes?(scope: FastifyInstance, engine: RunningEngine): Promise<void>
  /** Adds hooks to all routes of one port, before authentication. */
  hooks?(http: FastifyInstance): void
  /** Adds hooks to all routes with `request.actor`, after authentication. */
  userHooks?(scope: FastifyInstance): void
  /** Finds the user of a bearer token, before the tokens of JWT_SECRET and of ISSUERS are tried. */
  checkToken?: TokenCheck
  /** Finds the user of a request whose token no check knows, or that has none. */
  identify?: Identify
  /** Decides after the owner check; each feature may refuse. */
  authorize?: Authorizer
  /** Refuses a creation before any work is done for it. @throws UploadError */
  checkCreation?(actor: Actor): void
  /** Names new objects in place of KEY_TEMPLATE; the first feature that has it is asked. */
  nameObject?: NameObject
  /** Looks at the first bytes of a file before any of them is stored; each feature may refuse. See `ContentCheck.inspect`. */
  inspect?: ContentCheck['inspect']
  /** Takes the events of all uploads from the outbox: at least once, on one server. */
  listener?: Listener
  /** The same, with all events of one delivery at once: for what writes each of them down. */
  batchListener?: BatchListener
  /** Periodic work, on one server at a time. */
  jobs?: Job[]
  /** Gauges of this process, read at each scrape, by metric name. `isShared`: every process has the same value, that of all servers. */
  gauges?: Record<string, { help: string; value: () => number; isShared?: boolean }>
  /** Counters of this process since its start, likewise. */
  counters?: Record<string, { help: string; value: () => number }>
  /** Called after the last request was answered and the engine has saved everything; the database is still there. */
  close?(): Promise<void>
}

/** What features are given. A feature names the settings that it reads, as `Settings`. */
export interface FeatureDeps<Settings = unknown> {
  settings: Settings
  /** Functions of the app around this server, in place of a module of HOOKS; `null`: none. */
  hooks: Hooks | null
  database: Database
  /** The active policies. */
  policies: PolicyCache
  policyVersions: PolicyVersions
  /** Bytes; the largest object that the store takes. */
  maxObjectSize: number
  /** The secrets of JWT_SECRET: the first signs, all verify. */
  secrets: readonly [string, ...string[]]
  /** Reads objects. */
  store: Pick<ObjectStore, 'read' | 'presignRead'>
  /** The counters of this process since its start. */
  totals(): Promise<Totals>
  /** The URL at which browsers reach a completed object; `null` when there is none. */
  objectUrlOf(key: string): string | null
  /** Asks the features in order, as the engine does. @throws UploadError */
  authorize: Authorizer
  now(): Date
  log: FastifyBaseLogger
  /** Takes errors of work that no request waits for. */
  onError(error: unknown): void
}

/** Counters of one process. Bytes and numbers of requests and uploads. */
export type Totals = Record<
  | 'receivedBytes'
  | 'storedBytes'
  | 'requests'
  | 'clientErrors'
  | 'serverErrors'
  | 'storeErrors'
  | 'created'
  | 'completed'
  | 'cancelled'
  | 'expired'
  | 'failed',
  number
>
