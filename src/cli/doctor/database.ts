import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import type { Config } from '../../config.ts'
import { type EmbeddedServer, openExisting } from '../../db/embedded/embedded.ts'
import { migrationsFolder } from '../../db/open.ts'
import { clientOf } from './client.ts'
import { about, codeOf, type Finding, reasonOf } from './finding.ts'

const report = about('database')
const oldestVersion = 13

/** The migrations that this version knows, and the tables that they end with: both as they were generated, so none is forgotten. */
function knownSchema(): { migrations: number; tables: string[] } {
  const read = (name: string) => JSON.parse(readFileSync(join(migrationsFolder, 'meta', name), 'utf8'))
  const { entries } = read('_journal.json') as { entries: { idx: number }[] }
  const last = String(entries.at(-1)!.idx).padStart(4, '0')
  const snapshot = read(`${last}_snapshot.json`) as { tables: Record<string, { name: string }> }
  return { migrations: entries.length, tables: Object.values(snapshot.tables).map(({ name }) => name) }
}

/** Whether Postgres is there, is new enough, has our tables, lets us write, and passes on what is told with NOTIFY. */
export async function* probeDatabase({ DATABASE_URL, DATABASE_POOL, DATA_DIR }: Config): AsyncGenerator<Finding> {
  if (DATABASE_URL !== undefined) return yield* probeServer({ connectionString: DATABASE_URL }, DATABASE_POOL)
  const folder = join(DATA_DIR, 'postgres')
  let embedded: EmbeddedServer | null
  try {
    embedded = await openExisting(folder)
  } catch (error) {
    // Its message has the remedy already.
    yield report.error('the embedded database cannot be used', (error as Error).message)
    return
  }
  if (!embedded)
    return yield report.ok(`the first start makes an embedded Postgres in ${folder}, which is for trying out`)
  try {
    yield report.ok(`an embedded Postgres is in ${folder}, which is for trying out`)
    yield* probeServer(embedded.connection, DATABASE_POOL)
  } finally {
    await embedded.close()
  }
}

async function* probeServer(server: pg.ClientConfig, pool: number): AsyncGenerator<Finding> {
  const client = clientOf(server)
  try {
    await client.connect()
  } catch (error) {
    yield explainError(error)
    return
  }
  try {
    yield* inspect(client, pool)
    yield await hears(client, server)
  } catch (error) {
    yield report.error(
      `Postgres answers a simple question with an error (${reasonOf(error)})`,
      'Look at the log of Postgres; a pooler in front of it may be in the way.',
    )
  } finally {
    await client.end().catch(() => {})
  }
}

function explainError(error: unknown): Finding {
  const reason = reasonOf(error)
  switch (codeOf(error)) {
    case '28P01':
    case '28000':
      return report.error(`Postgres refuses the user of DATABASE_URL (${reason})`, 'Correct its user and password.')
    case '3D000':
      return report.error(`there is no such database (${reason})`, 'Create it, or correct the name in DATABASE_URL.')
    case '53300':
      return report.error(
        `Postgres takes no more connections (${reason})`,
        'Raise max_connections, or lower DATABASE_POOL.',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return report.error(`the host of DATABASE_URL has no address (${reason})`, 'Correct its name, or look at DNS.')
    default:
      return report.error(
        `Postgres cannot be reached (${reason})`,
        'Start it; correct host and port in DATABASE_URL; open the firewall between them.',
      )
  }
}

async function* inspect(client: pg.Client, pool: number): AsyncGenerator<Finding> {
  const { rows } = await client.query(`select
      current_setting('server_version_num')::int / 10000 as version,
      pg_is_in_recovery() as is_standby,
      current_setting('default_transaction_read_only') = 'on' or current_setting('transaction_read_only') = 'on' as is_read_only,
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most,
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used,
      has_database_privilege(current_database(), 'CREATE') as may_create_schemas,
      has_schema_privilege('public', 'CREATE') as may_create_tables,
      extract(epoch from clock_timestamp()) * 1000 as now,
      current_user as role`)
  const found = rows[0]
  if (found.version < oldestVersion)
    yield report.error(
      `Postgres is ${found.version}`,
      `Landfall needs ${oldestVersion} or newer: bring Postgres up to date.`,
    )
  else yield report.ok(`Postgres ${found.version} answers`)
  if (found.is_standby)
    yield report.error('this Postgres is a read-only standby', 'DATABASE_URL must name the primary.')
  else if (found.is_read_only)
    yield report.error(
      `nothing can be written: transactions of ${found.role} are read-only`,
      `ALTER ROLE ${found.role} RESET default_transaction_read_only; or the same of the database.`,
    )
  const free = found.most - found.used
  if (free < pool)
    yield report.warning(
      `Postgres has ${free} connections left, and each server opens up to ${pool}`,
      'Raise max_connections, or lower DATABASE_POOL.',
    )
  const skew = Math.abs(Date.now() - Number(found.now))
  if (skew > 30_000)
    yield report.warning(
      `the clocks of Postgres and of this machine differ by ${Math.round(skew / 1000)} seconds`,
      'Uploads expire at the wrong time: let both follow a time server (NTP).',
    )
  yield* lookAtTables(client, found)
}

interface Rights {
  role: string
  may_create_schemas: boolean
  may_create_tables: boolean
}

async function* lookAtTables(client: pg.Client, { role, ...may }: Rights): AsyncGenerator<Finding> {
  const { migrations, tables } = knownSchema()
  const applied = await appliedMigrations(client)
  if (applied === null)
    return yield report.error(
      `${role} may not read the list of migrations, which a server does at its start`,
      `GRANT USAGE ON SCHEMA drizzle TO ${role}; GRANT SELECT ON drizzle.__drizzle_migrations TO ${role};`,
    )
  const missing = migrations - applied
  if (missing > 0) {
    yield report.error(
      applied === 0 ? 'the tables are not there yet' : `${missing} changes of the tables are missing`,
      'Run `landfall migrate`, or start a server, which does the same.',
    )
    if (!may.may_create_schemas || !may.may_create_tables)
      yield report.error(
        `${role} may not make tables`,
        `GRANT CREATE ON DATABASE … TO ${role}; GRANT CREATE ON SCHEMA public TO ${role}; or run the migration as a role with that right.`,
      )
    return
  }
  if (missing < 0)
    yield report.error(
      'the tables are those of a newer Landfall',
      'Run that version here too; an older one does not know what it wrote.',
    )
  const { rows } = await client.query(
    `select name, verb from unnest($1::text[]) name, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) verb
     where not has_table_privilege(name, verb)`,
    [tables],
  )
  if (rows.length > 0) {
    const lacks = rows.map(({ name, verb }) => `${verb} ${name}`).join(', ')
    yield report.error(
      `${role} lacks rights: ${lacks}`,
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ${tables.join(', ')} TO ${role};`,
    )
  } else if (missing === 0) yield report.ok('the tables are up to date, and may be written to')
}

/** How many migrations were applied; `null` when this role may not read the list of them. */
async function appliedMigrations(client: pg.Client): Promise<number | null> {
  const { rows } = await client.query(`select to_regclass('drizzle.__drizzle_migrations') is not null as is_there`)
  if (!rows[0].is_there) return 0
  const counted = await client
    .query('select count(*)::int as count from drizzle.__drizzle_migrations')
    .catch(() => null)
  return counted ? counted.rows[0].count : null
}

/** Servers ask each other for uploads by NOTIFY. Poolers that lend a connection for a transaction swallow it. */
async function hears(client: pg.Client, server: pg.ClientConfig): Promise<Finding> {
  const other = clientOf(server)
  try {
    await other.connect()
    const heard = new Promise<boolean>((resolve) => {
      other.once('notification', () => resolve(true))
      setTimeout(resolve, 3000, false)
    })
    await other.query('listen landfall_doctor')
    await client.query(`select pg_notify('landfall_doctor', 'x')`)
    if (await heard) return report.ok('what one connection tells, another one hears')
    return report.error(
      'what one connection tells with NOTIFY, another does not hear',
      'A pooler in transaction mode stands between: connect to Postgres directly, or in session mode.',
    )
  } finally {
    await other.end().catch(() => {})
  }
}
