import type { Usage } from '../../core/policy/quota.ts'
import type { Database } from '../../db/open.ts'
import { toUsage, type UsageRow, usageColumns } from '../../db/usage.ts'

export interface OwnerUsage extends Usage {
  user: string
  tenant: string | null
  /** The role of their newest upload; `null`: they have no uploads left. */
  role: string | null
}

export interface UsagePage {
  limit: number
  /** Bytes, tenant and user of the last row of the previous page. */
  after?: [number, string, string] | undefined
  tenant?: string | undefined
  user?: string | undefined
}

const list = {
  name: 'usage-list',
  text: `select tenant, owner_id, ${usageColumns},
      (select s.role from upload_sessions s where s.tenant = u.tenant and s.owner_id = u.owner_id
        order by s.created_at desc, s.id desc limit 1) as role
    from upload_usage u
    where ($2::bigint is null or (-(reserved_bytes + stored_bytes), tenant, owner_id) > (-$2::bigint, $3::text, $4::text))
      and ($5::text is null or tenant = $5) and ($6::text is null or owner_id = $6)
    order by -(reserved_bytes + stored_bytes), tenant, owner_id limit $1`,
}

interface Row extends UsageRow {
  tenant: string
  owner_id: string
  role: string | null
}

/** The usage of users, largest first. */
export async function listUsage(database: Database, { limit, after, tenant, user }: UsagePage): Promise<OwnerUsage[]> {
  const rows = await database.query<Row>(list, [limit, ...(after ?? [null, null, null]), tenant ?? null, user ?? null])
  return rows.map(({ tenant, owner_id: user, role, ...row }) => ({
    user,
    tenant: tenant === '' ? null : tenant,
    role,
    ...toUsage(row),
  }))
}
