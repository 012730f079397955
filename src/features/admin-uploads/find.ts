/*
 * Uploads of all owners, for admins. Reads the rows only: a lock holder is not asked to save first, so an active upload may be one
 * part further than its row says.
 */
import type * as contract from '../../contract/admin-uploads.ts'
import type { UploadState } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'
import type { Statement } from '../../db/statement.ts'
import { isBeingWritten } from '../../db/uploads/being-written.ts'

interface Moments {
  createdAt: Date
  updatedAt: Date
  completedAt: Date | null
  expiresAt: Date | null
}

/** An upload of any owner as its row says; what the API adds is in `views.ts`. */
export type UploadLine = Omit<contract.AnyUpload, keyof Moments | 'objectUrl'> & Moments

/** The same with the fields that lists leave out. */
export type UploadDetails = Omit<contract.UploadDetails, keyof Moments | 'objectUrl'> & Moments

/** Filters; a field that is not given does not filter. */
export interface AdminUploadQuery {
  limit: number
  /** Id of the last upload of the previous page. */
  before?: string | undefined
  state?: UploadState | undefined
  role?: string | undefined
  user?: string | undefined
  tenant?: string | undefined
  /** Part of a file name, ignoring case, or the beginning of an id. */
  text?: string | undefined
  /** Created at or after. */
  since?: string | undefined
  /** Created before. */
  until?: string | undefined
  live?: boolean | undefined
}

// Parts have rows only while the upload is open; afterwards `offset` holds the bytes received.
const stored = `(select coalesce(sum(p.size), 0)::bigint from upload_parts p where p.upload_id = s.id and p.lock_token is null)`
// The names of the API, so that a row is what the API tells.
const columns = `s.id, s.owner_id as "user", nullif(s.tenant, '') as tenant, s.role, s.key, s.filename, s.content_type as "contentType",
  s.category, s.size, s.state, s.failure, s.kind, s.is_partial as partial, s.created_at as "createdAt", s.updated_at as "updatedAt",
  s.completed_at as "completedAt", s.expires_at as "expiresAt",
  case when s.kind = 'parted' and s.state = 'receiving' then greatest(s."offset", ${stored}) else s."offset" end as received,
  ${isBeingWritten} as live`

/** One prepared statement per set of conditions that an index can serve (see the lists in db/uploads). Other conditions filter its rows. */
function pageStatement(query: AdminUploadQuery): { statement: Statement; values: unknown[] } {
  const { limit, role } = query
  const values: unknown[] = [limit, role ?? null, query.text ?? null]
  const nameParts = ['admin-uploads']
  const conditions: string[] = []
  const bind = (value: unknown) => `$${values.push(value)}`
  const when = (name: string, value: unknown, condition: () => string) => {
    if (value === undefined) return
    nameParts.push(name)
    conditions.push(condition())
  }
  const { before, state, user, tenant, since, until, live: isLive } = query
  when(state ?? '', state, () => `s.state = '${state}'`)
  when(isLive ? 'live' : 'idle', isLive, () => `${isLive ? '' : 'not '}${isBeingWritten}`)
  if (isLive) conditions.push(`s.state in ('receiving', 'finishing')`)
  when('tenant', tenant, () => `s.tenant = ${bind(tenant)}`)
  when('user', user, () => `s.owner_id = ${bind(user)}`)
  when('since', since, () => `s.created_at >= ${bind(since)}::timestamptz`)
  when('until', until, () => `s.created_at < ${bind(until)}::timestamptz`)
  when('before', before, () => {
    const id = bind(before)
    return `(s.created_at, s.id) < ((select b.created_at from upload_sessions b where b.id = ${id}), ${id}::uuid)`
  })
  const text = `select ${columns} from upload_sessions s
    where ($2::text is null or s.role = $2)
      and ($3::text is null or position(lower($3) in lower(s.filename)) > 0 or starts_with(s.id::text, lower($3)))
      ${conditions.map((condition) => `and ${condition}`).join(' ')}
    order by s.created_at desc, s.id desc limit $1`
  return { statement: { name: nameParts.join('-'), text }, values }
}

const findOne = {
  name: 'admin-upload',
  text: `select ${columns}, s.metadata, s.fingerprint, s.part_size as "partSize", s.max_size as "maxSize",
      s.time_to_live_ms as "timeToLiveMs", s.reserved, s.etag, s.needs_cleanup as "needsCleanup",
      (select count(*)::int from upload_parts p where p.upload_id = s.id and p.lock_token is null) as parts,
      jsonb_array_length(s.tail) as "tailObjects"
    from upload_sessions s where s.id = $1 and ($2::text is null or s.tenant = $2)`,
}

/** A page of uploads, newest first. */
export async function findUploadLines(database: Database, query: AdminUploadQuery): Promise<UploadLine[]> {
  const { statement, values } = pageStatement(query)
  return database.query<UploadLine>(statement, values)
}

/** One upload with all its fields; `null` when there is none, or when it is not of `tenant`, if given. */
export async function findUploadDetails(
  database: Database,
  id: string,
  tenant?: string,
): Promise<UploadDetails | null> {
  const [upload] = await database.query<UploadDetails>(findOne, [id, tenant ?? null])
  return upload ?? null
}
