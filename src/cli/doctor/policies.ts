import { join } from 'node:path'
import type pg from 'pg'
import type { Config } from '../../config.ts'
import type { PolicyDocument } from '../../core/policy/policy.ts'
import { openExisting } from '../../db/embedded/embedded.ts'
import { readPolicyDocument } from '../../policies/schema.ts'
import { clientOf } from './client.ts'

/** The active policies of servers with this configuration: those in the database, or the configured ones if none can be read. */
export async function activePolicies({ DATABASE_URL, DATA_DIR, POLICIES }: Config): Promise<PolicyDocument> {
  if (DATABASE_URL !== undefined) return policiesAt({ connectionString: DATABASE_URL }, POLICIES)
  const embedded = await openExisting(join(DATA_DIR, 'postgres')).catch(() => null)
  if (!embedded) return POLICIES
  try {
    return await policiesAt(embedded.connection, POLICIES)
  } finally {
    await embedded.close()
  }
}

async function policiesAt(server: pg.ClientConfig, fallback: PolicyDocument): Promise<PolicyDocument> {
  const client = clientOf(server)
  try {
    await client.connect()
    const { rows } = await client.query('select document from policy_versions order by version desc limit 1')
    return rows[0] ? readPolicyDocument(rows[0].document) : fallback
  } catch {
    // The probe of the database reports why it cannot be read.
    return fallback
  } finally {
    await client.end().catch(() => {})
  }
}
