import type { Usage } from '../../core/quota.ts'
import type { Database } from '../../db/open.ts'

export interface OwnerUsage extends Omit<Usage, 'creationsUntil'> {
  user: string
  tenant: string | null
  /** Of their newest upload; `null`: they have none any more. */
  role: string | null
}

export interface UsagePage {
  limit: number
  /** Bytes, tenant and user of the last one seen. */
  after?: [number, string, string] | undefined
  tenant?: string | undefined
  user?: string | undefined
}

const list = {
  name: 'usage-list',
  text: `select tenant, owner_id, reserved_bytes, stored_bytes, stored_files, open_uploads, open_files,
      case when day = (now() at time zone 'utc')::date then day_bytes else 0 end as day_bytes,
      case when day = (now() at time zone 'utc')::date then day_files else 0 end as day_files,
      (select s.role from upload_sessions s where s.tenant = u.tenant and s.owner_id = u.owner_id
        order by s.created_at desc, s.id desc limit 1) as role
    from upload_usage u
    where ($2::bigint is null or (-(reserved_bytes + stored_bytes), tenant, owner_id) > (-$2::bigint, $3::text, $4::text))
      and ($5::text is null or tenant = $5) and ($6::text is null or owner_id = $6)
    order by -(reserved_bytes + stored_bytes), tenant, owner_id limit $1`,
}

interface Row {
  tenant: string
  owner_id: string
  role: string | null
  reserved_bytes: number
  stored_bytes: number
  stored_files: number
  open_uploads: number
  open_files: number
  day_bytes: number
  day_files: number
}

/** What users take of the server, those who take most first. */
export async function listUsage(database: Database, { limit, after, tenant, user }: UsagePage): Promise<OwnerUsage[]> {
  const rows = await database.query<Row>(list, [limit, ...(after ?? [null, null, null]), tenant ?? null, user ?? null])
  return rows.map((row) => ({
    user: row.owner_id,
    tenant: row.tenant === '' ? null : row.tenant,
    role: row.role,
    reservedBytes: row.reserved_bytes,
    storedBytes: row.stored_bytes,
    storedFiles: row.stored_files,
    openUploads: row.open_uploads,
    openFiles: row.open_files,
    dayBytes: row.day_bytes,
    dayFiles: row.day_files,
  }))
}
