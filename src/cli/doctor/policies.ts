import pg from 'pg'
import type { Config } from '../../config.ts'
import type { PolicyDocument } from '../../core/policy.ts'
import { readPolicyDocument } from '../../features/policies/schema.ts'

/** The policies that servers of this configuration hold to: those in the database, or the configured ones where none can be read. */
export async function policiesThatHold({ DATABASE_URL, POLICIES }: Config): Promise<PolicyDocument> {
  // The embedded database belongs to one process.
  if (DATABASE_URL === undefined) return POLICIES
  const client = new pg.Client({
    connectionString: DATABASE_URL,
    connectionTimeoutMillis: 5000,
    query_timeout: 10_000,
    application_name: 'landfall-doctor',
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query('select document from policy_versions order by version desc limit 1')
    return rows[0] ? readPolicyDocument(rows[0].document) : POLICIES
  } catch {
    // Why it cannot be read is for the look at the database to say.
    return POLICIES
  } finally {
    await client.end().catch(() => {})
  }
}
