import type { Summary } from '../../contract/admin-uploads.ts'
import { type InProgressRow, inProgressColumns, toInProgress } from '../../db/in-progress.ts'
import type { Database } from '../../db/open.ts'

const sum = {
  name: 'admin-summary',
  text: `select ${inProgressColumns('$1::text')},
      coalesce(sum(reserved_bytes), 0)::bigint as reserved_bytes, coalesce(sum(stored_bytes), 0)::bigint as stored_bytes,
      coalesce(sum(stored_files), 0)::int as stored_files, count(*)::int as users
    from upload_usage where $1::text is null or tenant = $1`,
}

interface Row extends InProgressRow {
  reserved_bytes: number
  stored_bytes: number
  stored_files: number
  users: number
}

/** The summary of `tenant` or of all tenants, in one statement. */
export async function summarize(database: Database, tenant?: string): Promise<Summary> {
  const [row] = await database.query<Row>(sum, [tenant ?? null])
  const { reserved_bytes, stored_bytes, stored_files, users } = row!
  return {
    ...toInProgress(row!),
    reservedBytes: reserved_bytes,
    storedBytes: stored_bytes,
    storedFiles: stored_files,
    users,
  }
}
