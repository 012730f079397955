import { effectivePolicy, type PolicyDocument } from '../../core/policy/policy.ts'
import { userOf } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'

const findOwners = {
  name: 'policies-owners',
  text: `select distinct tenant, owner_id, role from upload_sessions where state = 'receiving'`,
}
const tell = {
  name: 'policies-tell',
  // What was reserved for a file of unknown length is all that it may have. Nobody's lease is touched: who is writing now
  // goes on as before, and the next request reads this.
  text: `update upload_sessions s set
      max_size = case when s.size is null then least(n.max_size, s.max_size) else n.max_size end,
      time_to_live_ms = n.time_to_live_ms,
      expires_at = case when n.time_to_live_ms is null then null else s.updated_at + n.time_to_live_ms * interval '1 millisecond' end
    from jsonb_to_recordset($1::jsonb) as n(tenant text, owner_id text, role text, max_size bigint, time_to_live_ms bigint)
    where s.state = 'receiving' and s.tenant = n.tenant and s.owner_id = n.owner_id and s.role = n.role
      and (s.max_size, s.time_to_live_ms) is distinct from (n.max_size, n.time_to_live_ms)
    returning s.id`,
}

/**
 * Tells running uploads the limits of `document` in place of those they were told. Owners whose role may not upload any more
 * keep theirs. Resolves to the number of uploads that have other limits now.
 */
export async function applyToRunning(
  database: Database,
  document: PolicyDocument,
  maxObjectSize: number,
): Promise<number> {
  const owners = await database.query<{ tenant: string; owner_id: string; role: string }>(findOwners, [])
  const limits = owners.flatMap(({ tenant, owner_id, role }) => {
    const policy = effectivePolicy(document, userOf(owner_id, role, { tenant: tenant || null }))?.policy
    if (!policy) return []
    const max_size = Math.min(policy.maxSize ?? Number.POSITIVE_INFINITY, maxObjectSize)
    return [{ tenant, owner_id, role, max_size, time_to_live_ms: policy.timeToLiveMs }]
  })
  return (await database.query(tell, [JSON.stringify(limits)])).length
}
