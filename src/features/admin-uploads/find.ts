/*
 * Uploads of all owners, for admins. Reads the rows only: a lock holder is not asked to save first, so an active upload may be one
 * part further than its row says.
 */
import type { UploadKind, UploadState } from '../../core/upload.ts'
import type { Database, Statement } from '../../db/open.ts'

/** An upload as operators see it. Sizes are bytes. */
export interface UploadLine {
  id: string
  user: string
  tenant: string | null
  role: string
  key: string
  filename: string
  contentType: string
  category: string
  size: number | null
  /** All recorded bytes, including numbered parts after a missing one. */
  received: number
  state: UploadState
  failure: string | null
  kind: UploadKind
  /** It is no file of its own, but a range of a final upload (tus concatenation). */
  isPartial: boolean
  /** A server holds its lease or the lock of one of its parts now. */
  isLive: boolean
  createdAt: Date
  updatedAt: Date
  completedAt: Date | null
  expiresAt: Date | null
}

/** An upload with the fields that lists leave out. */
export interface UploadDetails extends UploadLine {
  metadata: string | null
  fingerprint: string | null
  partSize: number
  maxSize: number
  timeToLiveMs: number | null
  /** Bytes of the owner's quota that it reserves. */
  reserved: number | null
  etag: string | null
  /** Stored parts of a multipart upload that is not complete yet. */
  parts: number
  /** Tail objects: bytes that do not fill a part yet. */
  tailObjects: number
  /** The store may hold orphaned objects of it; the sweeper will check. */
  needsCleanup: boolean
}

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

// The limit makes Postgres look up the locks of each upload; without it the planner reads all part locks of all uploads.
const partLocked = `coalesce((select true from upload_parts p where p.upload_id = s.id and p.locked_until > now() limit 1), false)`
const live = `(coalesce(s.lease_until > now(), false) or ${partLocked})`
// Parts have rows only while the upload is open; afterwards `offset` holds the bytes received.
const stored = `(select coalesce(sum(p.size), 0)::bigint from upload_parts p where p.upload_id = s.id and p.lock_token is null)`
const columns = `s.id, s.owner_id, s.tenant, s.role, s.key, s.filename, s.content_type, s.category, s.size, s.state, s.failure,
  s.kind, s.is_partial, s.created_at, s.updated_at, s.completed_at, s.expires_at,
  case when s.kind = 'parted' and s.state = 'receiving' then greatest(s."offset", ${stored}) else s."offset" end as received,
  s.state in ('receiving', 'finishing') and ${live} as is_live`

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
  when(
    isLive ? 'live' : 'idle',
    isLive,
    () => `${isLive ? '' : 'not '}(s.state in ('receiving', 'finishing') and ${live})`,
  )
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
  text: `select ${columns}, s.metadata, s.fingerprint, s.part_size, s.max_size, s.time_to_live_ms, s.reserved, s.etag, s.needs_cleanup,
      (select count(*)::int from upload_parts p where p.upload_id = s.id and p.lock_token is null) as parts,
      jsonb_array_length(s.tail) as "tailObjects"
    from upload_sessions s where s.id = $1 and ($2::text is null or s.tenant = $2)`,
}

type SameInRow = 'id' | 'role' | 'key' | 'filename' | 'category' | 'size' | 'received' | 'state' | 'failure' | 'kind'

interface Row extends Pick<UploadLine, SameInRow> {
  owner_id: string
  tenant: string
  content_type: string
  is_partial: boolean
  is_live: boolean
  created_at: Date
  updated_at: Date
  completed_at: Date | null
  expires_at: Date | null
}

interface DetailsRow
  extends Row,
    Pick<UploadDetails, 'metadata' | 'fingerprint' | 'reserved' | 'etag' | 'parts' | 'tailObjects'> {
  part_size: number
  max_size: number
  time_to_live_ms: number | null
  needs_cleanup: boolean
}

/** A page of uploads, newest first. */
export async function findUploadLines(database: Database, query: AdminUploadQuery): Promise<UploadLine[]> {
  const { statement, values } = pageStatement(query)
  return (await database.query<Row>(statement, values)).map(toLine)
}

/** One upload with all its fields; `null` when there is none, or when it is not of `tenant`, if given. */
export async function findUploadDetails(
  database: Database,
  id: string,
  tenant?: string,
): Promise<UploadDetails | null> {
  const [row] = await database.query<DetailsRow>(findOne, [id, tenant ?? null])
  if (!row) return null
  const { metadata, fingerprint, reserved, etag, parts, tailObjects } = row
  return {
    ...toLine(row),
    metadata,
    fingerprint,
    partSize: row.part_size,
    maxSize: row.max_size,
    timeToLiveMs: row.time_to_live_ms,
    reserved,
    etag,
    parts,
    tailObjects,
    needsCleanup: row.needs_cleanup,
  }
}

function toLine(row: Row): UploadLine {
  const { id, role, key, filename, category, size, received, state, failure, kind } = row
  return {
    id,
    user: row.owner_id,
    tenant: row.tenant === '' ? null : row.tenant,
    role,
    key,
    filename,
    contentType: row.content_type,
    category,
    size,
    received,
    state,
    failure,
    kind,
    isPartial: row.is_partial,
    isLive: row.is_live,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    completedAt: row.completed_at,
    expiresAt: row.expires_at,
  }
}
