import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { drizzle as drizzleNodePg } from 'drizzle-orm/node-postgres'
import { migrate as migrateNodePg } from 'drizzle-orm/node-postgres/migrator'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import pg from 'pg'
import { guardAppendOnly } from './append-only.ts'
import { openEmbedded } from './embedded/embedded.ts'
import { applicationName } from './embedded/presence.ts'
import { codeOf, isOutage, isTransient, toDatabaseError } from './errors.ts'
import { type Outage, type OutageWatch, watchOutage } from './outage.ts'

export type Row = Record<string, unknown>

/** A statement that is sent often: the name lets Postgres plan it once a connection. */
export interface Statement {
  name: string
  text: string
}

/** The Postgres that keeps everything but the bytes. */
export interface Database {
  orm: PgDatabase<PgQueryResultHKT>
  /**
   * Runs a statement, again when the database was only briefly away.
   * @throws UploadError DATABASE_ERROR when it did not answer in time
   */
  query<T = Row>(statement: Statement, values: unknown[]): Promise<T[]>
  /** As `query`, once: for writes that must not run twice. `undefined` when nobody knows whether it ran. */
  queryOnce<T = Row>(statement: Statement, values: unknown[]): Promise<T[] | undefined>
  /** Calls `hear` for every NOTIFY on `channel` from now on, also after reconnecting. */
  listen(channel: string, hear: (payload: string) => void): Promise<void>
  /** Rejects when the database does not answer or cannot be written to. */
  check(): Promise<void>
  /** Brings the schema up to date; of several servers that start at once, one does and the others wait. */
  migrate(): Promise<void>
  /** Runs whatever text it is given, several statements included, as a library that brings its own SQL needs. */
  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
  /** Connections to the server: open ones, the idle ones of them, and how many statements wait for one. */
  connections(): { open: number; idle: number; waiting: number }
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** `postgres://…`; without it an embedded Postgres runs in `dataDir`. */
  url?: string | undefined
  dataDir: string
  /** Connections at most. */
  pool: number
  /** How long a statement is tried again while the database is away. */
  timeoutMs: number
  /** Told once when the database is lost and once when it is back. */
  onOutage?(outage: Outage): void
  /** Told of what else goes wrong where no caller waits for it. */
  onError(error: unknown): void
}

/** Where the migrations are, and a list of them. */
export const migrationsFolder = join(dirname(findPackageJSON('..', import.meta.url) ?? ''), 'drizzle')
// Any number will do, as long as every node uses the same.
const migrationLock = 7_203_114
const int8 = 20
// SQLSTATE 53100, disk_full. Only work finds that out: a small write may still find room on a page where a large one does not.
const diskFull = '53100'
const fullMs = 10_000
const probe = {
  name: 'probe',
  text: `select pg_is_in_recovery() as is_standby, current_setting('transaction_read_only') = 'on' as is_read_only`,
}

/**
 * Opens the database. A server elsewhere is not asked anything yet, so this works while it is down.
 * @throws EmbeddedDatabaseError
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { url, dataDir: folder, onOutage = () => {} } = options
  const outage = watchOutage({ probe: () => database.check(), report: onOutage })
  const onError = (error: Error) => outage.explain(error.message)
  const embedded = url === undefined ? await openEmbedded({ folder, onError }) : null
  const database = openPostgres(options, embedded?.connection ?? { connectionString: url }, outage)
  return {
    ...database,
    async close() {
      outage.close()
      await database.close()
      await embedded?.close()
    },
  }
}

function openPostgres(
  { pool: max, timeoutMs, onError }: DatabaseOptions,
  server: pg.ClientConfig,
  outage: OutageWatch,
): Database {
  const report = (error: unknown) => (isOutage(error) ? outage.notice(error) : onError(error))
  const noticed = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      outage.notice(error)
      throw error
    }
  }
  const types = {
    getTypeParser: (oid: number, format?: 'text' | 'binary') =>
      oid === int8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format),
  }
  const config = {
    ...server,
    types: types as pg.CustomTypesConfig,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs * 2,
    statement_timeout: timeoutMs * 2,
    keepAlive: true,
    application_name: applicationName,
  }
  const pool = new pg.Pool({ ...config, max, idleTimeoutMillis: 30_000 })
  // Without a listener an idle connection that breaks would end the process.
  pool.on('error', report)
  const listener = keepListening(config, report)
  let fullUntil = 0
  const run = async (statement: Statement, values: unknown[]) => {
    try {
      return (await noticed(() => pool.query({ ...statement, values }))).rows
    } catch (error) {
      if (codeOf(error) === diskFull) fullUntil = performance.now() + fullMs
      throw error
    }
  }
  return {
    orm: drizzleNodePg(pool),
    ...withRetry(run, timeoutMs),
    listen: listener.add,
    async check() {
      const { rows } = await noticed(() =>
        pool.query<{ is_standby: boolean; is_read_only: boolean }>({ ...probe, values: [] }),
      )
      if (rows[0]?.is_standby) throw new Error('the database is a read-only standby')
      if (rows[0]?.is_read_only) throw new Error('the database is read-only')
      if (performance.now() < fullUntil) throw new Error('the database has no room')
    },
    async migrate() {
      // drizzle's migrator takes no lock: of several nodes starting at once all but one would fail.
      const client = new pg.Client({ ...config, query_timeout: 0, statement_timeout: 0 } as pg.ClientConfig)
      client.on('error', report)
      try {
        await client.connect()
        await client.query('select pg_advisory_lock($1)', [migrationLock])
        await migrateNodePg(drizzleNodePg(client), { migrationsFolder })
        await client.query(guardAppendOnly)
      } catch (error) {
        outage.notice(error)
        throw toDatabaseError(error)
      } finally {
        await client.end().catch(report)
      }
    },
    executeSql: (text, values) => noticed(() => pool.query(text, values)),
    connections: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    async close() {
      await listener.close()
      await pool.end()
    },
  }
}

type Run = (statement: Statement, values: unknown[]) => Promise<Row[]>

function withRetry(run: Run, patienceMs: number): Pick<Database, 'query' | 'queryOnce'> {
  return {
    async query<T>(statement: Statement, values: unknown[]) {
      const until = performance.now() + patienceMs
      for (let attempt = 0; ; attempt += 1) {
        try {
          return (await run(statement, values)) as T[]
        } catch (error) {
          if (!isTransient(error) || performance.now() >= until) throw toDatabaseError(error)
          await pause(attempt)
        }
      }
    },
    async queryOnce<T>(statement: Statement, values: unknown[]) {
      try {
        return (await run(statement, values)) as T[]
      } catch (error) {
        if (isTransient(error)) return undefined
        throw toDatabaseError(error)
      }
    },
  }
}

function pause(attempt: number): Promise<void> {
  const most = Math.min(1000, 50 * 2 ** attempt)
  return new Promise((resolve) => setTimeout(resolve, most * (0.5 + Math.random() / 2)))
}

/**
 * One connection that listens on all channels, and comes back when it is lost. What was told in between is lost: listeners
 * also poll.
 */
function keepListening(config: pg.ClientConfig, onError: (error: unknown) => void) {
  const channels = new Map<string, ((payload: string) => void)[]>()
  let client: pg.Client | null = null
  let isClosed = false
  let attempt = 0

  async function connect(): Promise<void> {
    const mine = new pg.Client(config)
    client = mine
    let isLost = false
    const lost = (error?: unknown) => {
      if (isLost || isClosed) return
      isLost = true
      if (error) onError(error)
      void mine.end().catch(() => {})
      attempt += 1
      void pause(attempt).then(() => (isClosed ? undefined : connect()))
    }
    mine.on('error', lost)
    mine.on('end', () => lost())
    mine.on('notification', ({ channel, payload }) => {
      for (const hear of channels.get(channel) ?? []) hear(payload ?? '')
    })
    try {
      await mine.connect()
      await mine.query([...channels.keys()].map((channel) => `listen ${channel}`).join('; '))
      attempt = 0
    } catch (error) {
      lost(error)
    }
  }

  let connecting: Promise<void> | null = null
  return {
    async add(channel: string, hear: (payload: string) => void) {
      channels.set(channel, [...(channels.get(channel) ?? []), hear])
      if (!connecting) return (connecting = connect())
      await connecting
      // One that is just coming back listens on every channel by itself.
      await client?.query(`listen ${channel}`).catch(() => {})
    },
    async close() {
      isClosed = true
      await client?.end().catch(() => {})
    },
  }
}
