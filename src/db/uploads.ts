import type { UploadQuery, UploadRepository } from '../core/ports/uploads.ts'
import type { StoredPart } from '../core/upload.ts'
import { uploadCreator } from './create-upload.ts'
import type { Database } from './open.ts'
import { repeatedBy } from './repeated-creation.ts'
import { toUploadRecord, type UploadRow } from './upload-row.ts'
import { uploadSaver } from './uploads/save.ts'
import { shrinkReservation } from './usage.ts'

// The state is compared first, so that a list of ended uploads reads no parts. A LIMIT subquery instead of EXISTS: Postgres may answer
// an EXISTS for all rows at once by scanning the whole table of parts, but looks up a subquery with LIMIT by the index for each row.
const isBeingWritten = `s.state in ('receiving', 'finishing') and (coalesce(s.lease_until > now(), false)
  or (select true from upload_parts p where p.upload_id = s.id and p.locked_until > now() limit 1) is true) as is_being_written`
const findUpload = {
  name: 'upload-find',
  text: `select s.*, ${isBeingWritten} from upload_sessions s where s.id = $1`,
}
const findUploads = {
  name: 'uploads-find',
  text: `select s.*, ${isBeingWritten} from upload_sessions s where s.id = any($1::uuid[])`,
}
/** One statement for each set of conditions: the plan of one statement for all of them would read all rows of a user. */
function listUploads({ before, state, fingerprint }: Pick<UploadQuery, 'before' | 'state' | 'fingerprint'>) {
  const name = ['upload-list', before && 'before', state, fingerprint !== undefined && 'file'].filter(Boolean).join('-')
  const isUnexpired = state === 'receiving' ? 'and (s.expires_at is null or s.expires_at > now())' : ''
  return {
    name,
    text: `select s.*, ${isBeingWritten} from upload_sessions s
      where s.tenant = $2 and s.owner_id = $1 and not s.is_partial
        ${state ? `and s.state = '${state}' ${isUnexpired}` : ''}
        ${fingerprint === undefined ? '' : `and s.fingerprint = $${before ? 5 : 4}`}
        ${before ? 'and (s.created_at, s.id) < ((select b.created_at from upload_sessions b where b.id = $4 and b.tenant = $2 and b.owner_id = $1), $4)' : ''}
      order by s.created_at desc, s.id desc limit $3`,
  }
}
const setFingerprint = {
  name: 'upload-set-fingerprint',
  text: `update upload_sessions set fingerprint = $2 where id = $1`,
}
const findFinal = {
  name: 'upload-find-final',
  text: `select id from upload_sessions
    where tenant = $3 and owner_id = $1 and kind = 'final' and md5(partials::text) = md5($2::jsonb::text) and partials = $2::jsonb
      and state in ('receiving', 'finishing', 'completed')
    order by created_at desc limit 1`,
}
const findParts = {
  name: 'parts-find',
  text: `select number, size, etag from upload_parts where upload_id = $1 and lock_token is null order by number`,
}
const markAnswerLost = {
  name: 'upload-mark-answer-lost',
  // A lease acquired after the answer belongs to a request that knows the upload. Numbered parts do not move the offset, but the first
  // of them creates the multipart upload.
  text: `update upload_sessions set is_answer_lost = true where id = $1 and state in ('receiving', 'finishing', 'completed')
      and (multipart_id is null or kind <> 'parted')
      and ($2::bigint is null or ("offset" = $2 and coalesce(lease_until < now(), true)))`,
}
const clearAnswerLost = {
  name: 'upload-clear-answer-lost',
  text: `update upload_sessions set is_answer_lost = false where id = $1`,
}
const findRepeated = {
  name: 'upload-find-repeated',
  text: repeatedBy({
    tenant: '$1',
    ownerId: '$2',
    role: '$3',
    filename: '$4',
    size: '$5',
    metadata: '$6',
    fingerprint: '$7',
    isPartial: '$8',
    agent: '$9',
  }),
}
const findLostCreation = {
  name: 'upload-find-lost-creation',
  text: `select id, "offset" from upload_sessions
    where tenant = $1 and owner_id = $2 and state = 'receiving' and is_answer_lost and (lease_until is null or lease_until < now())
      and role = $3 and filename = $4 and size is not distinct from $5 and metadata is not distinct from $6
      and fingerprint is not distinct from $7 and kind = $8 and is_partial = $9
    order by created_at limit 1`,
}
const leadingParts = {
  name: 'parts-leading',
  text: `select upload_id as id, count(*)::int as count, sum(size)::bigint as bytes
    from (
      select upload_id, number, size, row_number() over (partition by upload_id order by number) as place
      from upload_parts where upload_id = any($1::uuid[]) and lock_token is null) as part
    where number = place group by upload_id`,
}
const acquirePartLock = {
  name: 'part-lock-acquire',
  // The update locks the row, so that no lease is acquired between the check and the insert. It clears an expired lease, so that its
  // former holder, should it wake, cannot overwrite the new part.
  text: `with open as (
      update upload_sessions set updated_at = now(), expires_at = $5, needs_cleanup = true, lease_token = null, lease_until = null
      where id = $1 and state = 'receiving' and (lease_until is null or lease_until < now())
      returning id),
    acquired as (
      insert into upload_parts (upload_id, number, size, etag, lock_token, locked_until)
      select id, $2, 0, '', $3, now() + $4 * interval '1 millisecond' from open
      on conflict (upload_id, number) do update
        set size = 0, etag = '', lock_token = excluded.lock_token, locked_until = excluded.locked_until
        where (upload_parts.lock_token is null and $6) or upload_parts.locked_until < now() or upload_parts.lock_token = excluded.lock_token
      returning number)
    select exists (select from open) as is_open, exists (select from acquired) as is_acquired, number, size, etag
    from (select) as one left join upload_parts on upload_id = $1 and number = $2 and lock_token is null`,
}
const renewPartLock = {
  name: 'part-lock-renew',
  text: `update upload_parts set locked_until = now() + $4 * interval '1 millisecond'
    where upload_id = $1 and number = $2 and lock_token = $3 returning number`,
}
const recordPart = {
  name: 'part-record',
  // A second run after a lost answer finds its own receipt. The store has accepted a part of the multipart upload, so that still exists:
  // loss_seen_at is cleared.
  text: `with found as (update upload_sessions set loss_seen_at = null where id = $1 and loss_seen_at is not null)
    update upload_parts set size = $4, etag = $5, lock_token = null, locked_until = null
    where upload_id = $1 and number = $2 and (lock_token = $3 or (lock_token is null and size = $4 and etag = $5))
      and exists (select from upload_sessions where id = $1 and state = 'receiving')
    returning number`,
}
const countRepeatedBytes = {
  name: 'usage-count-repeated',
  text: `update upload_usage u set day = today,
      day_bytes = case when u.day = today then u.day_bytes else 0 end + $3,
      day_files = case when u.day = today then u.day_files else 0 end
    from (select (now() at time zone 'utc')::date as today) as clock
    where u.tenant = $1 and u.owner_id = $2 returning u.day_bytes`,
}
const releasePartLock = {
  name: 'part-lock-release',
  text: `delete from upload_parts where upload_id = $1 and number = $2 and lock_token = $3`,
}
const countPartLocks = {
  name: 'part-lock-count',
  text: `select count(*)::int as locks from upload_parts where upload_id = $1 and locked_until >= now()
    and ($2::int is null or number = $2)`,
}
const markWriting = {
  name: 'upload-mark-writing',
  text: `update upload_sessions set updated_at = now(), expires_at = $2, needs_cleanup = true
    where id = $1 and state = 'receiving' and (lease_until is null or lease_until < now()) returning id`,
}
const markNeedsCleanup = {
  name: 'upload-mark-needs-cleanup',
  // Also when another holder has taken over: the orphans may be newer than the last clean-up of the upload.
  text: `update upload_sessions set needs_cleanup = true, updated_at = now(), lease_token = nullif(lease_token, $2),
      lease_until = case when lease_token = $2 then null else lease_until end
    where id = $1`,
}
const cleanupVersion = {
  name: 'upload-cleanup-version',
  text: `select extract(epoch from updated_at)::text as version from upload_sessions where id = $1`,
}
const markCleanedUp = {
  name: 'upload-mark-cleaned-up',
  text: `update upload_sessions set needs_cleanup = false
    where id = $1 and state not in ('receiving', 'finishing') and extract(epoch from updated_at)::text = coalesce($2, extract(epoch from updated_at)::text)`,
}
const findUnfinished = {
  name: 'uploads-unfinished',
  text: `select id from upload_sessions
    where state = 'finishing' and updated_at < now() - $1 * interval '1 millisecond' and (lease_until is null or lease_until < now())
    order by updated_at limit $2`,
}
const findExpired = {
  name: 'uploads-expired',
  // A completed partial upload is kept while an open final upload needs it; the final upload has its own expiry.
  text: `select s.id from upload_sessions s
    where s.state in ('receiving', 'completed') and s.expires_at < $1
      and (s.state = 'receiving' or not exists (
        select from upload_sessions f
        where f.tenant = s.tenant and f.owner_id = s.owner_id and f.kind = 'final'
          and f.state in ('receiving', 'finishing') and f.partials ? s.id::text))
    order by s.expires_at limit $2`,
}
const findEnded = {
  name: 'uploads-ended',
  text: `select id from upload_sessions where id = any($1::uuid[]) and state not in ('receiving', 'finishing')`,
}
const scheduleDeletion = {
  name: 'upload-schedule-deletion',
  text: `update upload_sessions set delete_due_at = coalesce(delete_due_at, $2)
    where id = $1 and state not in ('receiving', 'finishing', 'completed')`,
}
const findDeletionsDue = {
  name: 'uploads-deletions-due',
  text: `select id from upload_sessions where delete_due_at <= $1 order by delete_due_at limit $2`,
}
const findNeedingCleanup = {
  name: 'uploads-needing-cleanup',
  text: `select id from upload_sessions where needs_cleanup and state not in ('receiving', 'finishing') order by updated_at limit $1`,
}

interface PartLockRow {
  is_open: boolean
  is_acquired: boolean
  /** The existing receipt, if there was one. */
  number: number | null
  size: number | null
  etag: string | null
}

/** The uploads in `database`. */
export function uploadRepository(database: Database): UploadRepository {
  const ids = async (statement: { name: string; text: string }, values: unknown[]) =>
    (await database.query<{ id: string }>(statement, values)).map((row) => row.id)
  return {
    insert: uploadCreator(database),
    save: uploadSaver(database),
    async markNeedsCleanup(id, token) {
      await database.query(markNeedsCleanup, [id, token])
    },
    shrinkReservation: (id) => shrinkReservation(database, id),
    async find(id) {
      const [row] = await database.query<UploadRow>(findUpload, [id])
      return row ? toUploadRecord(row) : null
    },
    async findAll(ids) {
      return (await database.query<UploadRow>(findUploads, [ids])).map(toUploadRecord)
    },
    async list({ ownerId, tenant }, page) {
      const { limit, before, fingerprint } = page
      const values = [ownerId, tenant ?? '', limit, before, fingerprint].filter((value) => value !== undefined)
      return (await database.query<UploadRow>(listUploads(page), values)).map(toUploadRecord)
    },
    async setFingerprint(id, fingerprint) {
      await database.query(setFingerprint, [id, fingerprint])
    },
    async findFinal({ ownerId, tenant }, partials) {
      return (await ids(findFinal, [ownerId, JSON.stringify(partials), tenant ?? '']))[0] ?? null
    },
    async markAnswerLost(id, offset) {
      await database.query(markAnswerLost, [id, offset])
    },
    async findLostCreation({ tenant, ownerId, role, filename, size, metadata, fingerprint, kind, isPartial }) {
      const values = [tenant ?? '', ownerId, role, filename, size, metadata, fingerprint, kind, isPartial]
      return (await database.query<{ id: string; offset: number }>(findLostCreation, values))[0] ?? null
    },
    async clearAnswerLost(id) {
      await database.query(clearAnswerLost, [id])
    },
    findRepeated({ tenant, ownerId, role, filename, size, metadata, fingerprint, isPartial, agent }) {
      const values = [tenant ?? '', ownerId, role, filename, size, metadata, fingerprint, isPartial, agent]
      return ids(findRepeated, values)
    },
    async leadingParts(among) {
      const rows = await database.query<{ id: string; count: number; bytes: number }>(leadingParts, [among])
      return new Map(rows.map(({ id, ...rest }) => [id, rest]))
    },
    parts: (id) => database.query<StoredPart>(findParts, [id]),
    async acquirePartLock(id, { number, token, ms, expiresAt, replaces }) {
      const [row] = await database.query<PartLockRow>(acquirePartLock, [id, number, token, ms, expiresAt, replaces])
      if (row!.is_acquired) return 'mine'
      if (!row!.is_open) return 'closed'
      return row!.number === null ? 'taken' : { number: row!.number, size: row!.size!, etag: row!.etag! }
    },
    async renewPartLock(id, { number, token, ms }) {
      return (await database.query(renewPartLock, [id, number, token, ms])).length > 0
    },
    async recordPart(id, { number, size, etag }, token) {
      return (await database.query(recordPart, [id, number, token, size, etag])).length > 0
    },
    async countRepeatedBytes({ ownerId, tenant }, bytes) {
      const [row] = await database.query<{ day_bytes: number }>(countRepeatedBytes, [tenant ?? '', ownerId, bytes])
      return row?.day_bytes ?? 0
    },
    async releasePartLock(id, { number, token }) {
      await database.query(releasePartLock, [id, number, token])
    },
    async countPartLocks(id, number) {
      return (await database.query<{ locks: number }>(countPartLocks, [id, number ?? null]))[0]!.locks
    },
    async markWriting(id, expiresAt) {
      return (await database.query(markWriting, [id, expiresAt])).length > 0
    },
    async cleanupVersion(id) {
      const [row] = await database.query<{ version: string }>(cleanupVersion, [id])
      return row?.version ?? ''
    },
    async markCleanedUp(id, version) {
      await database.query(markCleanedUp, [id, version ?? null])
    },
    findUnfinished: (idleMs, limit) => ids(findUnfinished, [idleMs, limit]),
    findExpired: (now, limit) => ids(findExpired, [now, limit]),
    findEnded: (among) => ids(findEnded, [among]),
    findNeedingCleanup: (limit) => ids(findNeedingCleanup, [limit]),
    async scheduleDeletion(id, dueAt) {
      await database.query(scheduleDeletion, [id, dueAt])
    },
    findDeletionsDue: (now, limit) => ids(findDeletionsDue, [now, limit]),
  }
}
