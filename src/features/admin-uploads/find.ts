/*
 * Everybody's uploads, for those who run the server. It reads what is recorded and disturbs nobody: whoever writes is not asked
 * to save first, so an upload under way may be a part further than it says here.
 */
import type { Concat, UploadState } from '../../core/upload.ts'
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
  /** Of all that is recorded, numbered chunks beyond a hole included. */
  received: number
  state: UploadState
  failure: string | null
  /** A piece of a later file, or a file made of pieces. */
  concat: Concat['kind'] | null
  /** Somebody is writing to it right now, on whatever server. */
  isLive: boolean
  createdAt: Date
  updatedAt: Date
  completedAt: Date | null
  expiresAt: Date | null
}

/** What only who looks at one upload wants to know. */
export interface UploadDetails extends UploadLine {
  metadata: string | null
  fingerprint: string | null
  partSize: number
  maxSize: number
  timeToLiveMs: number | null
  /** Bytes of the owner's room that it holds. */
  reserved: number | null
  etag: string | null
  /** Parts that are stored and not joined yet. */
  parts: number
  /** Pieces that do not fill a part yet. */
  tailObjects: number
  /** Something of it may lie in the store that nothing points to; the sweeper will look. */
  needsCleanup: boolean
}

/** Which uploads to look for; what is not given is not looked at. */
export interface AdminUploadQuery {
  limit: number
  /** The id of the last one seen. */
  before?: string | undefined
  state?: UploadState | undefined
  role?: string | undefined
  user?: string | undefined
  tenant?: string | undefined
  /** Part of a file name, in either case, or how an id begins. */
  text?: string | undefined
  /** Begun at or after. */
  since?: string | undefined
  /** Begun before. */
  until?: string | undefined
  live?: boolean | undefined
}

// With a limit, or all claims of all uploads would be read to have them at hand.
const partLocked = `coalesce((select true from upload_parts p where p.upload_id = s.id and p.locked_until > now() limit 1), false)`
const live = `(coalesce(s.lease_until > now(), false) or ${partLocked})`
// What an upload has ended with is its offset; only of an open one receipts are still there.
const stored = `(select coalesce(sum(p.size), 0)::bigint from upload_parts p where p.upload_id = s.id and p.lock_token is null)`
const columns = `s.id, s.owner_id, s.tenant, s.role, s.key, s.filename, s.content_type, s.category, s.size, s.state, s.failure,
  s.concat->>'kind' as concat, s.created_at, s.updated_at, s.completed_at, s.expires_at,
  case when s.has_numbered_parts and s.state = 'receiving' then greatest(s."offset", ${stored}) else s."offset" end as received,
  s.state in ('receiving', 'finishing') and ${live} as is_live`

/** A statement for each set of conditions that an index can serve: see the lists in db/uploads. The others only sift. */
function pageStatement(query: AdminUploadQuery): { statement: Statement; values: unknown[] } {
  const { limit, role, text } = query
  const values: unknown[] = [limit, role ?? null, text ?? null]
  const words = ['admin-sessions']
  const conditions: string[] = []
  const hold = (value: unknown) => `$${values.push(value)}`
  const when = (word: string, value: unknown, condition: () => string) => {
    if (value === undefined) return
    words.push(word)
    conditions.push(condition())
  }
  const { before, state, user, tenant, since, until, live: isLive } = query
  when(state ?? '', state, () => `s.state = '${state}'`)
  when(
    isLive ? 'live' : 'still',
    isLive,
    () => `${isLive ? '' : 'not '}(s.state in ('receiving', 'finishing') and ${live})`,
  )
  if (isLive) conditions.push(`s.state in ('receiving', 'finishing')`)
  when('tenant', tenant, () => `s.tenant = ${hold(tenant)}`)
  when('user', user, () => `s.owner_id = ${hold(user)}`)
  when('since', since, () => `s.created_at >= ${hold(since)}::timestamptz`)
  when('until', until, () => `s.created_at < ${hold(until)}::timestamptz`)
  when('before', before, () => {
    const id = hold(before)
    return `(s.created_at, s.id) < ((select b.created_at from upload_sessions b where b.id = ${id}), ${id}::uuid)`
  })
  const textOf = `select ${columns} from upload_sessions s
    where ($2::text is null or s.role = $2)
      and ($3::text is null or position(lower($3) in lower(s.filename)) > 0 or starts_with(s.id::text, lower($3)))
      ${conditions.map((condition) => `and ${condition}`).join(' ')}
    order by s.created_at desc, s.id desc limit $1`
  return { statement: { name: words.join('-'), text: textOf }, values }
}

const findOne = {
  name: 'admin-session',
  text: `select ${columns}, s.metadata, s.fingerprint, s.part_size, s.max_size, s.time_to_live_ms, s.reserved, s.etag, s.needs_cleanup,
      (select count(*)::int from upload_parts p where p.upload_id = s.id and p.lock_token is null) as parts,
      jsonb_array_length(s.tail) as "tailObjects"
    from upload_sessions s where s.id = $1 and ($2::text is null or s.tenant = $2)`,
}

type Plain = 'id' | 'role' | 'key' | 'filename' | 'category' | 'size' | 'received' | 'state' | 'failure' | 'concat'

interface Row extends Pick<UploadLine, Plain> {
  owner_id: string
  tenant: string
  content_type: string
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

/** The newest first. */
export async function findUploadLines(database: Database, query: AdminUploadQuery): Promise<UploadLine[]> {
  const { statement, values } = pageStatement(query)
  return (await database.query<Row>(statement, values)).map(toLine)
}

/** One upload with everything that is known of it; `null`: there is none, or none of `tenant` when that is given. */
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
  const { id, role, key, filename, category, size, received, state, failure, concat } = row
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
    concat,
    isLive: row.is_live,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    completedAt: row.completed_at,
    expiresAt: row.expires_at,
  }
}
