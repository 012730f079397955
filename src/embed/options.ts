import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifyTypeProvider, RawServerBase } from 'fastify'
import type { Category } from '../core/policy/categories.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { Scope } from '../core/upload.ts'
import type { Hooks } from '../features/hooks.ts'

/** A user of the app, with whatever else the app knows of them: hooks get the same object. */
export interface AppUser {
  /** 1 to 128 characters. */
  id: string
  /** A role of the policies; another one may send nothing. */
  role: string
  /** User ids are unique within a tenant only. */
  tenant?: string | null
  /** May use `/v1/admin`. */
  isAdmin?: boolean
  scopes?: Scope[]
}

/** What an upload server in an app is made of. `User` is what `authenticate` returns; without it, hooks get no user of the app. */
export interface UploadsOptions<User extends AppUser | undefined = undefined> extends HooksOf<User> {
  store: LocalStoreOptions | S3StoreOptions | ObjectStore
  /**
   * Postgres: a URL, or the app's own `pg` pool, whose way to connect is used. Landfall opens `connections` of its own and takes none of
   * the pool: they have another search path, other time limits, and are taken in turns of the users. Not given: an embedded Postgres in
   * the directory of a local store, for development.
   */
  database?: string | PoolLike
  /** The most connections to Postgres, beside one that listens. Default: 10, as of the setting DATABASE_POOL. */
  connections?: number
  /** The schema of its tables, which is created and migrated. Default: `landfall`. */
  schema?: string
  /** Signs tokens and the chain of the audit log, at least 32 bytes. Default: generated and kept in the directory of a local store. */
  secret?: string
  /** Changes to the built-in roles; `null` removes one. */
  policies?: Record<string, PolicyChanges | null>
  /**
   * The user of a request; `null`: unknown, the request gets 401. It decides alone: no tokens are accepted or issued. Without it, users
   * bring tokens signed with `secret`, resume tokens or API keys.
   */
  authenticate?(request: FastifyRequest): User | null | Promise<User | null>
  /** The URL of the app for clients, without the prefix. Default: addresses are relative. */
  publicUrl?: string
  /** The origins whose pages may call the uploads. Default: none, so that a CORS plugin of the app decides. */
  cors?: '*' | string[]
  /** Any setting of `.env.example`, as text: `{ PART_SIZE: '16MiB' }`. */
  settings?: Record<string, string>
}

/** The functions of an app. */
export type HooksOf<User> = Omit<Hooks<NoInfer<User>>, 'identify'>

/** The options of `app.register(landfall, …)`. */
export interface LandfallOptions<User extends AppUser | undefined = undefined> extends UploadsOptions<User> {
  /** The path below which everything is: `/uploads` makes the tus endpoint `/uploads/files`. */
  prefix: string
}

/** Objects as files below a directory. */
export interface LocalStoreOptions {
  directory: string
  /** Whether bytes are forced to the disk before they are acknowledged. Default: true. */
  fsync?: boolean
}

/** Objects in a bucket of S3, R2 or another compatible service. */
export interface S3StoreOptions {
  bucket: string
  /** Not needed for AWS. */
  endpoint?: string
  region?: string
  /** Without both, the AWS SDK looks in its usual places. */
  accessKeyId?: string
  secretAccessKey?: string
  /** Such as `uploads/`. */
  prefix?: string
  /** The URL at which browsers reach the bucket. */
  publicUrl?: string
}

/** A pool of `pg`. */
export interface PoolLike {
  options: object
}

type Quantity = string | number | null

/** The fields of a role that differ; `null` is no limit. Sizes are bytes or text such as `5 GiB`, times text such as `7 days`. */
export interface PolicyChanges {
  maxSize?: Quantity
  mediaTypes?: string[] | null
  categories?: Category[] | null
  fileNames?: { allow?: string[] | null; deny?: string[]; maxLength?: number | null } | null
  uploadsAtOnce?: Quantity
  creationsPerMinute?: Quantity
  requestsPerMinute?: Quantity
  bytesPerSecond?: Quantity
  bytesPerDay?: Quantity
  filesPerDay?: Quantity
  totalBytes?: Quantity
  totalFiles?: Quantity
  timeToLive?: Quantity
  partSize?: Quantity
  chunkSize?: Quantity
}

/** The plugin; `app.register` infers `User` from `authenticate`. */
export interface LandfallPlugin {
  (app: FastifyInstance, options: LandfallOptions<never>): Promise<void>
  readonly isLandfall: true
}

declare module 'fastify' {
  interface FastifyRegister<
    T,
    RawServer extends RawServerBase,
    TypeProviderDefault extends FastifyTypeProvider,
    LoggerDefault extends FastifyBaseLogger,
  > {
    // biome-ignore lint/style/useShorthandFunctionType: it extends an interface of Fastify.
    <User extends AppUser | undefined = undefined>(plugin: LandfallPlugin, options: LandfallOptions<User>): T
  }
}
