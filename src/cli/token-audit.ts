import { join } from 'node:path'
import type pg from 'pg'
import type { Config } from '../config.ts'
import type { Actor } from '../core/upload.ts'
import { openExisting } from '../db/embedded/embedded.ts'
import type { Row, Statement } from '../db/statement.ts'
import { writeAudit } from '../features/audit/log.ts'
import { clientOf } from './doctor/client.ts'
import { operatorName } from './operator.ts'

/**
 * Adds an audit entry for a token issued to `actor`. The secret alone suffices to sign a token, so a database that cannot be reached does
 * not stop the operator.
 * @returns why there is no entry, for the operator; `null` when there is one
 */
export async function auditToken(config: Config, actor: Actor, expiresAt: Date): Promise<string | null> {
  const { role, tenant, isAdmin } = actor
  const facts = [
    `role ${role}`,
    tenant !== null && `tenant ${tenant}`,
    isAdmin && 'admin',
    `until ${expiresAt.toISOString()}`,
  ]
  const by = { id: operatorName(), role: null }
  const note = facts.filter(Boolean).join(', ')
  try {
    await withServer(config, (client) => {
      const query = async <T = Row>(statement: Statement, values: unknown[]) =>
        (await client.query({ ...statement, values })).rows as T[]
      return writeAudit({ query }, [{ action: 'token.issue', isAllowed: true, by, target: actor.id, note }])
    })
    return null
  } catch (thrown) {
    return (thrown as Error).message || 'the database does not answer'
  }
}

/** Connects to the configured database, but never creates an embedded one. */
async function withServer(
  { DATABASE_URL, DATA_DIR }: Config,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  if (DATABASE_URL !== undefined) return withClient({ connectionString: DATABASE_URL }, work)
  const embedded = await openExisting(join(DATA_DIR, 'postgres'))
  if (!embedded) throw new Error(`there is no database in ${DATA_DIR} yet`)
  try {
    await withClient(embedded.connection, work)
  } finally {
    await embedded.close()
  }
}

async function withClient(server: pg.ClientConfig, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = clientOf(server)
  try {
    await client.connect()
    await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
