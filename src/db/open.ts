import { drizzle as drizzleNodePg } from 'drizzle-orm/node-postgres'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import pg from 'pg'
import { openEmbedded } from './embedded/embedded.ts'
import { applicationName } from './embedded/presence.ts'
import { codeOf, isOutage, isTransient, toDatabaseError } from './errors.ts'
import { openFairPool } from './fair-pool.ts'
import { groupCommit } from './group-commit.ts'
import { migrateSchema } from './migrate.ts'
import { type Outage, type OutageWatch, watchOutage } from './outage.ts'
import { withSearchPath } from './search-path.ts'
import type { Row, Statement } from './statement.ts'

export type { ClientConfig } from 'pg'

/** The Postgres database, which holds everything except the files. */
export interface Database {
  /** The schema of the tables. Statements name no schema: it is the search path of every connection. */
  schema: string
  orm: PgDatabase<PgQueryResultHKT>
  /**
   * Runs a statement, and again while the database is away for a short time.
   * @param group names the row that many such statements change: those that wait for it together share a transaction, see group-commit
   * @throws UploadError DATABASE_ERROR when it did not answer in time
   */
  query<T = Row>(statement: Statement, values: unknown[], group?: string): Promise<T[]>
  /** Runs a write that must not run twice, once. `undefined` when the answer was lost: it may have run or not. */
  queryOnce<T = Row>(statement: Statement, values: unknown[], group?: string): Promise<T[] | undefined>
  /** Calls `onNotify` for every NOTIFY on `channel` from now on, also after reconnecting. */
  listen(channel: string, onNotify: (payload: string) => void): Promise<void>
  /** Rejects when the database does not answer or cannot be written to. */
  check(): Promise<void>
  /** Migrates the schema. When several servers start at once, one migrates and the others wait. */
  migrate(): Promise<void>
  /** Runs any SQL text, also of several statements, for libraries with their own SQL. */
  executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>
  /** Connections to the server, how many of them are idle, and how many statements wait for one. */
  connections(): { open: number; idle: number; waiting: number }
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** `postgres://…`; without it and `connection` an embedded Postgres runs in `dataDir`. */
  url?: string | undefined
  /** How to connect, in place of `url`. */
  connection?: pg.ClientConfig | undefined
  /** Default: `public`. */
  schema?: string
  dataDir: string
  /** The most connections. */
  pool: number
  /** How long `query` retries a statement while the database is away. */
  timeoutMs: number
  /** Called once when the database is lost and once when it is back. */
  onOutage?(outage: Outage): void
  /** Called with other errors that no caller waits for. */
  onError(error: unknown): void
}

const int8 = 20
// SQLSTATE disk_full. `check` learns of it from failed statements only: a small probe may still fit a page where a larger write fails.
const diskFull = '53100'
const fullMs = 10_000
const probe = {
  name: 'probe',
  text: `select pg_is_in_recovery() as is_standby, current_setting('transaction_read_only') = 'on' as is_read_only`,
}

/**
 * Opens the database. It does not connect to a server at `url` yet, so it succeeds while that server is down.
 * @throws EmbeddedDatabaseError
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { url, connection, dataDir: folder, onOutage = () => {} } = options
  const server = connection ?? (url === undefined ? null : { connectionString: url })
  const outage = watchOutage({ probe: () => database.check(), report: onOutage })
  const onError = (error: Error) => outage.explain(error.message)
  const embedded = server === null ? await openEmbedded({ folder, onError }) : null
  const database = openPostgres(options, server ?? embedded!.connection, outage)
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
  { pool: max, schema = 'public', timeoutMs, onError }: DatabaseOptions,
  server: pg.ClientConfig,
  outage: OutageWatch,
): Database {
  const report = (error: unknown) => (isOutage(error) ? outage.notice(error) : onError(error))
  const withOutageWatch = async <T>(work: () => Promise<T>): Promise<T> => {
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
    ...withSearchPath(server, schema),
    types: types as pg.CustomTypesConfig,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs * 2,
    statement_timeout: timeoutMs * 2,
    keepAlive: true,
    application_name: applicationName,
  }
  const pool = openFairPool({ ...config, max, idleTimeoutMillis: 30_000, pipeline: true })
  // Without a listener the error of a broken idle connection would end the process.
  pool.on('error', report)
  const listener = keepListening(config, report)
  let fullUntil = 0
  const runAlone = async (statement: Statement, values: unknown[]) =>
    (await pool.query<Row>({ ...statement, values })).rows
  const runInGroup = groupCommit(pool, runAlone)
  const run = async (statement: Statement, values: unknown[], group?: string) => {
    try {
      return await withOutageWatch(() =>
        group === undefined ? runAlone(statement, values) : runInGroup(group, statement, values),
      )
    } catch (error) {
      if (codeOf(error) === diskFull) fullUntil = performance.now() + fullMs
      throw error
    }
  }
  return {
    schema,
    orm: drizzleNodePg(pool),
    ...withRetry(run, timeoutMs),
    listen: listener.add,
    async check() {
      const { rows } = await withOutageWatch(() =>
        pool.query<{ is_standby: boolean; is_read_only: boolean }>({ ...probe, values: [] }),
      )
      if (rows[0]?.is_standby) throw new Error('the database is a read-only standby')
      if (rows[0]?.is_read_only) throw new Error('the database is read-only')
      if (performance.now() < fullUntil) throw new Error('the disk of the database is full')
    },
    async migrate() {
      const client = new pg.Client({ ...config, query_timeout: 0, statement_timeout: 0 } as pg.ClientConfig)
      client.on('error', report)
      try {
        // A client that never connected must not be ended: pg would wait for the end of the connection for ever.
        await client.connect()
        try {
          await migrateSchema(client, schema)
        } finally {
          await client.end().catch(report)
        }
      } catch (error) {
        outage.notice(error)
        throw toDatabaseError(error)
      }
    },
    executeSql: (text, values) => withOutageWatch(() => pool.query(text, values)),
    connections: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingForTurn() }),
    async close() {
      await listener.close()
      await pool.end()
    },
  }
}

type Run = (statement: Statement, values: unknown[], group?: string) => Promise<Row[]>

function withRetry(run: Run, timeoutMs: number): Pick<Database, 'query' | 'queryOnce'> {
  return {
    async query<T>(statement: Statement, values: unknown[], group?: string) {
      const until = performance.now() + timeoutMs
      for (let attempt = 0; ; attempt += 1) {
        try {
          return (await run(statement, values, group)) as T[]
        } catch (error) {
          if (!isTransient(error) || performance.now() >= until) throw toDatabaseError(error)
          await pause(attempt)
        }
      }
    },
    async queryOnce<T>(statement: Statement, values: unknown[], group?: string) {
      try {
        return (await run(statement, values, group)) as T[]
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
 * One connection that listens on all channels and reconnects when it is lost. Notifications sent in between are lost, so every listener
 * also polls.
 */
function keepListening(config: pg.ClientConfig, onError: (error: unknown) => void) {
  const channels = new Map<string, ((payload: string) => void)[]>()
  let client: pg.Client | null = null
  let isClosed = false
  let attempt = 0

  async function connect(): Promise<void> {
    const connecting = new pg.Client(config)
    client = connecting
    let isLost = false
    const reconnect = (error?: unknown) => {
      if (isLost || isClosed) return
      isLost = true
      if (error) onError(error)
      void connecting.end().catch(() => {})
      attempt += 1
      void pause(attempt).then(() => (isClosed ? undefined : connect()))
    }
    connecting.on('error', reconnect)
    connecting.on('end', () => reconnect())
    connecting.on('notification', ({ channel, payload }) => {
      for (const onNotify of channels.get(channel) ?? []) onNotify(payload ?? '')
    })
    try {
      await connecting.connect()
      await connecting.query([...channels.keys()].map((channel) => `listen ${channel}`).join('; '))
      attempt = 0
    } catch (error) {
      reconnect(error)
    }
  }

  let firstConnection: Promise<void> | null = null
  return {
    async add(channel: string, onNotify: (payload: string) => void) {
      channels.set(channel, [...(channels.get(channel) ?? []), onNotify])
      if (!firstConnection) return (firstConnection = connect())
      await firstConnection
      // While it reconnects this fails; the new connection then listens on every channel.
      await client?.query(`listen ${channel}`).catch(() => {})
    },
    async close() {
      isClosed = true
      await client?.end().catch(() => {})
    },
  }
}
