import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import type { Config } from '../../config.ts'
import { type EmbeddedServer, openExisting } from '../../db/embedded/embedded.ts'
import { migrationsFolder } from '../../db/migrate.ts'
import { migrationsSchemaOf, withSearchPath } from '../../db/search-path.ts'
import { about, codeOf, type Finding, reasonOf } from '../../stores/finding.ts'
import { clientOf } from './client.ts'

const report = about('database')
const oldestVersion = 13

/** The number of migrations of this version, and the tables after the last one, read from the generated files. */
function knownSchema(): { migrations: number; tables: string[] } {
  const read = (name: string) => JSON.parse(readFileSync(join(migrationsFolder, 'meta', name), 'utf8'))
  const { entries } = read('_journal.json') as { entries: { idx: number }[] }
  const last = String(entries.at(-1)!.idx).padStart(4, '0')
  const snapshot = read(`${last}_snapshot.json`) as { tables: Record<string, { name: string }> }
  return { migrations: entries.length, tables: Object.values(snapshot.tables).map(({ name }) => name) }
}

/** Tests whether Postgres is reachable, recent, migrated and writable, and delivers notifications. */
export async function* probeDatabase(config: Config): AsyncGenerator<Finding> {
  const { DATABASE_URL, DATA_DIR } = config
  if (DATABASE_URL !== undefined) return yield* probeServer({ connectionString: DATABASE_URL }, config)
  const folder = join(DATA_DIR, 'postgres')
  let embedded: EmbeddedServer | null
  try {
    embedded = await openExisting(folder)
  } catch (error) {
    // The message of this error says what to do.
    yield report.error('the embedded database cannot be used', (error as Error).message)
    return
  }
  if (!embedded)
    return yield report.ok(`the first start will create an embedded Postgres in ${folder}, for evaluation only`)
  try {
    yield report.ok(`there is an embedded Postgres in ${folder}, for evaluation only`)
    yield* probeServer(embedded.connection, config)
  } finally {
    await embedded.close()
  }
}

type Settings = Pick<Config, 'DATABASE_POOL' | 'DATABASE_SCHEMA'>

async function* probeServer(bare: pg.ClientConfig, settings: Settings): AsyncGenerator<Finding> {
  const server = withSearchPath(bare, settings.DATABASE_SCHEMA)
  const client = clientOf(server)
  try {
    await client.connect()
  } catch (error) {
    yield explainError(error)
    return
  }
  try {
    yield* inspect(client, settings)
    yield await deliversNotifications(client, server)
  } catch (error) {
    yield report.error(
      `Postgres answers a simple query with an error (${reasonOf(error)})`,
      'See the log of Postgres; a pooler in front of it may be the cause.',
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
        `Postgres accepts no more connections (${reason})`,
        'Raise max_connections, or lower DATABASE_POOL.',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return report.error(
        `the host of DATABASE_URL does not resolve (${reason})`,
        'Correct its name, or add it to DNS.',
      )
    default:
      return report.error(
        `Postgres cannot be reached (${reason})`,
        'Start it, correct host and port in DATABASE_URL, or open the firewall for it.',
      )
  }
}

async function* inspect(client: pg.Client, settings: Settings): AsyncGenerator<Finding> {
  const { DATABASE_POOL: pool, DATABASE_SCHEMA: schema } = settings
  const { rows } = await client.query(`select
      current_setting('server_version_num')::int / 10000 as version,
      pg_is_in_recovery() as is_standby,
      current_setting('default_transaction_read_only') = 'on' or current_setting('transaction_read_only') = 'on' as is_read_only,
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as max_usable,
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used,
      has_database_privilege(current_database(), 'CREATE') as may_create_schemas,
      coalesce(has_schema_privilege(current_schema(), 'CREATE'), true) as may_create_tables,
      extract(epoch from clock_timestamp()) * 1000 as now,
      current_user as role`)
  const found = rows[0]
  if (found.version < oldestVersion)
    yield report.error(`Postgres is ${found.version}`, `Landfall needs ${oldestVersion} or later: upgrade Postgres.`)
  else yield report.ok(`Postgres ${found.version} answers`)
  if (found.is_standby)
    yield report.error('this Postgres is a read-only standby', 'DATABASE_URL must name the primary.')
  else if (found.is_read_only)
    yield report.error(
      `the database is not writable: transactions of ${found.role} are read-only`,
      `ALTER ROLE ${found.role} RESET default_transaction_read_only; or the same for the database.`,
    )
  const free = found.max_usable - found.used
  if (free < pool)
    yield report.warning(
      `Postgres has ${free} connections left, and each server opens up to ${pool}`,
      'Raise max_connections, or lower DATABASE_POOL.',
    )
  const skew = Math.abs(Date.now() - Number(found.now))
  if (skew > 30_000)
    yield report.warning(
      `the clocks of Postgres and of this machine differ by ${Math.round(skew / 1000)} seconds`,
      'Uploads would expire at the wrong time: synchronize both clocks (NTP).',
    )
  yield* inspectTables(client, schema, found)
}

interface Privileges {
  role: string
  may_create_schemas: boolean
  may_create_tables: boolean
}

async function* inspectTables(
  client: pg.Client,
  schema: string,
  { role, ...may }: Privileges,
): AsyncGenerator<Finding> {
  const listed = migrationsSchemaOf(schema)
  const { migrations, tables } = knownSchema()
  const applied = await appliedMigrations(client, listed)
  if (applied === null)
    return yield report.error(
      `${role} may not read the list of migrations, which a server reads when it starts`,
      `GRANT USAGE ON SCHEMA ${listed} TO ${role}; GRANT SELECT ON ${listed}.__drizzle_migrations TO ${role};`,
    )
  const missing = migrations - applied
  if (missing > 0) {
    yield report.error(
      applied === 0 ? 'the tables do not exist yet' : `${missing} migrations are missing`,
      'Run `landfall migrate`, or start a server, which applies them too.',
    )
    if (!may.may_create_schemas || !may.may_create_tables)
      yield report.error(
        `${role} may not create tables`,
        `GRANT CREATE ON DATABASE … TO ${role}; GRANT CREATE ON SCHEMA ${schema} TO ${role}; or run the migration as a role with these privileges.`,
      )
    return
  }
  if (missing < 0)
    yield report.error(
      'the tables are those of a newer Landfall',
      'Run that version here too: an older version does not know its columns.',
    )
  const { rows } = await client.query(
    `select name, privilege from unnest($1::text[]) name, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) privilege
     where not has_table_privilege(name, privilege)`,
    [tables],
  )
  if (rows.length > 0) {
    const missing = rows.map(({ name, privilege }) => `${privilege} ${name}`).join(', ')
    yield report.error(
      `${role} lacks privileges: ${missing}`,
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ${tables.join(', ')} TO ${role};`,
    )
  } else if (missing === 0) yield report.ok('the tables are up to date and writable')
}

/** How many migrations were applied; `null` when this role may not read the list of them. */
async function appliedMigrations(client: pg.Client, schema: string): Promise<number | null> {
  const { rows } = await client.query(`select to_regclass('${schema}.__drizzle_migrations') is not null as exists`)
  if (!rows[0].exists) return 0
  const counted = await client
    .query(`select count(*)::int as count from ${schema}.__drizzle_migrations`)
    .catch(() => null)
  return counted ? counted.rows[0].count : null
}

/** Servers notify each other with NOTIFY. A pooler in transaction mode loses notifications. */
async function deliversNotifications(client: pg.Client, server: pg.ClientConfig): Promise<Finding> {
  const other = clientOf(server)
  try {
    await other.connect()
    const delivered = new Promise<boolean>((resolve) => {
      other.once('notification', () => resolve(true))
      setTimeout(resolve, 3000, false)
    })
    await other.query('listen landfall_doctor')
    await client.query(`select pg_notify('landfall_doctor', 'x')`)
    if (await delivered) return report.ok('notifications reach other connections')
    return report.error(
      'notifications (NOTIFY) do not reach other connections',
      'A pooler in transaction mode is in between: connect to Postgres directly, or use session mode.',
    )
  } finally {
    await other.end().catch(() => {})
  }
}
