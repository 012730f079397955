import type { Config } from '../../config.ts'
import type { PolicyDocument } from '../../core/policy/policy.ts'
import { readPolicyDocument } from '../../features/policies/schema.ts'
import { clientOf } from './client.ts'

/** The policies that servers of this configuration hold to: those in the database, or the configured ones where none can be read. */
export async function policiesThatHold({ DATABASE_URL, POLICIES }: Config): Promise<PolicyDocument> {
  // The embedded database belongs to one process.
  if (DATABASE_URL === undefined) return POLICIES
  const client = clientOf(DATABASE_URL)
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
