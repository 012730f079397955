import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { drizzle } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import { guardAppendOnly } from './append-only.ts'
import { migrationsSchemaOf } from './search-path.ts'
import { createLeadingParts } from './uploads/contiguous-offset.ts'

/** The folder of the migrations and their journal. */
export const migrationsFolder = join(dirname(findPackageJSON('..', import.meta.url) ?? ''), 'drizzle')
// An arbitrary number that every node must share.
const migrationLock = 7_203_114

interface Migrator {
  dialect: { migrate(migrations: unknown, session: unknown, options: object): Promise<void> }
  session: unknown
}

/** Migrates `schema`, which is the search path of `client`. One migration of a database runs at a time, of whatever schema. */
export async function migrateSchema(client: pg.Client, schema: string): Promise<void> {
  // drizzle's migrator takes no lock: if several nodes started at once, all but one would fail.
  await client.query('select pg_advisory_lock($1)', [migrationLock])
  if (schema !== 'public') await client.query(`create schema if not exists "${schema}"`)
  // drizzle-kit writes `"public".` before the tables that foreign keys refer to, and nowhere else.
  const migrations = readMigrationFiles({ migrationsFolder }).map((migration) => ({
    ...migration,
    sql: migration.sql.map((text) => text.replaceAll('"public".', '')),
  }))
  const { dialect, session } = drizzle(client) as unknown as Migrator
  await dialect.migrate(migrations, session, { migrationsFolder, migrationsSchema: migrationsSchemaOf(schema) })
  await client.query(guardAppendOnly)
  await client.query(createLeadingParts)
}
