import type { NewContentState } from '../../core/content.ts'
import type { ObjectOrigin } from '../../core/pairing/origin.ts'
import type { ObjectInfo } from '../../core/ports/object-store.ts'
import { initialFields, type UploadRecord } from '../../core/upload.ts'
import { namedStatement } from '../named-parameters.ts'
import type { Database } from '../open.ts'
import type { Statement } from '../statement.ts'
import { makeFile } from './files.ts'
import { columnsExcept, internalFields, toParameters } from './row.ts'

/** Rows created from objects, when a database is older than its store. @throws UploadError DATABASE_ERROR */
export interface Adoptions {
  /** The states of the uploads with these keys; a key without an upload is left out. */
  statesOf(keys: string[]): Promise<Map<string, string>>
  /** Creates the row of a completed upload. False when one with its id or key exists. */
  insert(key: string, origin: ObjectOrigin, info: ObjectInfo, now: Date): Promise<boolean>
  /** Completes an unfinished upload whose object is complete. False when its row has another size, or a request is writing to it. */
  complete(key: string, info: ObjectInfo, now: Date): Promise<boolean>
  /** Deleted files whose objects still exist, in the order of their deletion; a thousand at most. */
  deleted(): Promise<{ id: string; owner: string; filename: string; dueAt: Date }[]>
}

const findStates = {
  name: 'adopt-states',
  text: `select key, state from upload_sessions where key = any($1::text[])`,
}
const inserted = columnsExcept(internalFields)
// Usage is counted as in the statements that complete an upload.
const insert = namedStatement<keyof UploadRecord | 'content'>(
  'adopt-insert',
  `with saved as (
      insert into upload_sessions (${inserted.map(({ name }) => name)}, reserved)
      select ${inserted.map(({ parameter }) => parameter)}, :size::bigint
      on conflict do nothing returning *),
    ${makeFile(':content::text').join(',\n    ')},
    audited as (
      insert into audit_log (action, is_allowed, tenant, upload_id, note)
      select 'upload.adopt', true, tenant, id, 'restored from its object' from saved),
    counted as (
      insert into upload_usage as u (tenant, owner_id, reserved_bytes, stored_bytes, stored_files, open_uploads, open_files, day, day_bytes, day_files, granted)
      select tenant, owner_id, 0, size, 1, 0, 0, (now() at time zone 'utc')::date, 0, 0, 0 from saved
      on conflict (tenant, owner_id) do update set stored_bytes = u.stored_bytes + excluded.stored_bytes, stored_files = u.stored_files + 1)
    select id from saved`,
)
const complete = {
  name: 'adopt-complete',
  text: `with found as (
      select id, reserved from upload_sessions where key = $1 and state in ('receiving', 'finishing')
        and (size is null or size = $2::bigint) and not is_partial
        and (lease_until is null or lease_until < now()) for update),
    saved as (
      update upload_sessions s set state = 'completed', size = $2::bigint, "offset" = $2::bigint, etag = $3, completed_at = $4, updated_at = $4,
        prefix = null, tail = '[]', expires_at = null, loss_seen_at = null, needs_cleanup = true, revision = revision + 1, event_seq = event_seq + 1
      from found where s.id = found.id returning s.*, found.reserved as was_reserved),
    ${makeFile('$5::text').join(',\n    ')},
    counted as (
      update upload_usage u set reserved_bytes = greatest(0, u.reserved_bytes - coalesce(saved.was_reserved, 0)),
        open_uploads = greatest(0, u.open_uploads - 1), open_files = greatest(0, u.open_files - 1),
        stored_bytes = u.stored_bytes + saved.size, stored_files = u.stored_files + 1
      from saved where u.tenant = saved.tenant and u.owner_id = saved.owner_id),
    events as (
      insert into upload_events (upload_id, seq, type, data)
      select id, event_seq, 'upload.completed', jsonb_build_object('ownerId', owner_id, 'tenant', nullif(tenant, ''), 'role', role, 'key', key,
        'filename', filename, 'contentType', content_type, 'category', category, 'size', size, 'failure', null) from saved),
    audited as (
      insert into audit_log (action, is_allowed, tenant, upload_id, note)
      select 'upload.complete', true, tenant, id, 'its object is complete' from saved),
    removed as (delete from upload_parts using saved where upload_id = saved.id)
    select id from saved`,
}
const findDeleted = {
  name: 'adopt-deleted',
  text: `select id, owner_id, filename, delete_due_at from upload_sessions where delete_due_at is not null order by delete_due_at limit 1000`,
}

/** The adoptions of `database`. `content`: how the contents of the files begin. */
export function adoptionsIn(database: Pick<Database, 'query'>, content: NewContentState = 'live'): Adoptions {
  const changesRow = async (statement: Statement, values: unknown[]) =>
    (await database.query(statement, values)).length > 0
  return {
    async statesOf(keys) {
      const rows = await database.query<{ key: string; state: string }>(findStates, [keys])
      return new Map(rows.map(({ key, state }) => [key, state]))
    },
    insert(key, origin, info, now) {
      const upload = uploadOf(key, origin, info, now)
      return changesRow(insert, insert.valuesOf({ ...toParameters(upload), tenant: origin.tenant ?? '', content }))
    },
    complete: (key, { size, etag }, now) => changesRow(complete, [key, size, etag, now, content]),
    async deleted() {
      const rows = await database.query<{ id: string; owner_id: string; filename: string; delete_due_at: Date }>(
        findDeleted,
        [],
      )
      return rows.map((row) => ({ id: row.id, owner: row.owner_id, filename: row.filename, dueAt: row.delete_due_at }))
    },
  }
}

/** The completed upload that an object came from, as far as the object tells. */
function uploadOf(key: string, origin: ObjectOrigin, { size, etag }: ObjectInfo, now: Date): UploadRecord {
  return {
    ...initialFields(),
    ...origin,
    kind: 'sequential',
    isPartial: false,
    state: 'completed',
    key,
    etag,
    size,
    offset: size,
    maxSize: size,
    partSize: Math.max(size, 1),
    agent: null,
    metadata: null,
    fingerprint: null,
    digests: null,
    timeToLiveMs: null,
    expiresAt: null,
    updatedAt: now,
    completedAt: now,
  }
}
