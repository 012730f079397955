import { effectivePolicy, type PolicyDocument } from '../../core/policy/policy.ts'
import { userOf } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'

const findOwners = {
  name: 'policies-owners',
  text: `select distinct tenant, owner_id, role from upload_sessions where state = 'receiving'`,
}
const update = {
  name: 'policies-apply',
  // An upload of unknown length keeps at most the size that its reservation covers. Leases are untouched: the current lock holder
  // continues with the old limits, and the next request reads the new ones.
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
 * Gives the limits of `document` to active uploads. Uploads of owners whose role may no longer upload keep their limits.
 * @returns how many uploads changed
 */
export async function applyToActive(
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
  return (await database.query(update, [JSON.stringify(limits)])).length
}
