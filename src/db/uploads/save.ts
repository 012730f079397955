import type { UploadPatch, UploadRepository } from '../../core/ports/uploads.ts'
import { hasEnded, type UploadRecord } from '../../core/upload.ts'
import type { Database, Statement } from '../open.ts'
import { returnReservation, settlementOf, settleUsage, usageGroup } from '../usage.ts'

/**
 * The statement by which a lease holder saves: the upload row, its parts, its event, its owner's usage and the audit entry, all or
 * none. It matches only while the row still has the holder's token and the revision that the holder last wrote or read.
 */
function saveStatement(isFinal: boolean): Statement {
  return {
    name: isFinal ? 'upload-save-final' : 'upload-save',
    text: `with saved as (
      update upload_sessions set
        "offset" = coalesce($4, "offset"),
        tail = coalesce($5::jsonb, tail),
        size = coalesce($6, size),
        part_size = coalesce($7, part_size),
        multipart_id = coalesce($8, multipart_id),
        state = coalesce($9, state),
        failure = coalesce($10, failure),
        etag = coalesce($11, etag),
        expires_at = case when $12 then $13::timestamptz else expires_at end,
        completed_at = coalesce($14, completed_at),
        kind = coalesce($15, kind),
        needs_cleanup = coalesce($16, needs_cleanup),
        digests = coalesce($22::jsonb, digests),
        content_type = coalesce($23, content_type),
        category = coalesce($24, category),
        key = coalesce($25, key),
        prefix = case when $26 then $27::bytea else prefix end,
        loss_seen_at = case when $30 then $31::timestamptz else loss_seen_at end,
        delete_due_at = case when $32 then $33::timestamptz else delete_due_at end,
        event_seq = event_seq + case when $18::text is null then 0 else 1 end,
        lease_token = case when $20 then null else lease_token end,
        lease_until = case when $20 then null else lease_until end,
        lease_holder = case when $20 then lease_token::text else lease_holder end,
        revision = revision + 1,
        updated_at = now()
      where id = $1 and lease_token = $2 and revision = $3
      returning *),
    ${isFinal ? `returned as (${returnReservation('$28')}),` : ''}
    settled as (${settleUsage('$28', { returnsReservations: isFinal })}),
    added_parts as (
      insert into upload_parts (upload_id, number, size, etag)
      select saved.id, part.number, part.size, part.etag
      from saved, jsonb_to_recordset($17::jsonb) as part(number int, size bigint, etag text)
      on conflict (upload_id, number) do update set size = excluded.size, etag = excluded.etag, lock_token = null, locked_until = null),
    removed_parts as (delete from upload_parts using saved where upload_id = saved.id and number = any($21::int[])),
    cleared_parts as (
      delete from upload_parts using saved where upload_id = saved.id and saved.state not in ('receiving', 'finishing')),
    events as (
      insert into upload_events (upload_id, seq, type, data)
      select saved.id, saved.event_seq, $18, $19::jsonb from saved where $18::text is not null),
    audited as (
      insert into audit_log (action, is_allowed, actor, role, tenant, key_id, upload_id, address, agent, note)
      select 'upload.' || case when $28 = 'restored' then 'restore' else case saved.state when 'completed' then 'complete' when 'cancelled' then 'cancel' when 'expired' then 'expire' else 'fail' end end,
        true, b.id, b.role, coalesce(b.tenant, case when b.id is null then saved.tenant else '' end), b.key_id, saved.id, b.address, b.agent, saved.failure
      from saved, jsonb_to_record($29::jsonb) as b(id text, role text, tenant text, key_id text, address text, agent text)
      where $28::text is not null)
    select id from saved`,
  }
}

// Two statements, because only the end of a final upload has to look up partial uploads.
const saveUpload = saveStatement(false)
const endFinal = saveStatement(true)

const findLastSave = {
  name: 'upload-last-save',
  text: `select revision, lease_token, lease_holder from upload_sessions where id = $1`,
}

interface LastSaveRow {
  revision: number
  lease_token: string | null
  /** The node that holds the lease; after a save that released it, the token of that save. */
  lease_holder: string | null
}

/** The function that saves what lock holders change in `database`. */
export function uploadSaver(database: Database): UploadRepository['save'] {
  return async (upload, fence, patch) => {
    const statement = saveFor(upload, patch)
    const values = saveValues(upload, fence.token, fence.revision, patch)
    // Only the end of an upload changes the usage of its owner.
    const group = settlementOf(upload.state, patch) === null ? undefined : usageGroup(upload)
    const saved = await database.queryOnce(statement, values, group)
    if (saved) return saved.length > 0
    // The answer was lost. When the repeat matches no row, the row shows whether the first run was ours.
    if ((await database.query(statement, values)).length > 0) return true
    const [row] = await database.query<LastSaveRow>(findLastSave, [upload.id])
    // revision + 1 alone proves nothing: the next holder may also have written once. Only our token in the row proves it was us.
    const lastToken = patch.release ? row?.lease_holder : row?.lease_token
    return row !== undefined && row.revision === fence.revision + 1 && lastToken === fence.token
  }
}

/** The statement that saves `change`. */
function saveFor({ kind }: Pick<UploadRecord, 'kind'>, { state }: UploadPatch): Statement {
  return kind === 'final' && state !== undefined && hasEnded({ state }) ? endFinal : saveUpload
}

/** The values of the statement that `saveFor` returns. */
function saveValues(
  upload: Pick<UploadRecord, 'id' | 'state'>,
  token: string,
  revision: number,
  change: UploadPatch,
): unknown[] {
  return [
    upload.id,
    token,
    revision,
    change.offset ?? null,
    change.tail ? JSON.stringify(change.tail) : null,
    change.size ?? null,
    change.partSize ?? null,
    change.multipartId ?? null,
    change.state ?? null,
    change.failure ?? null,
    change.etag ?? null,
    change.expiresAt !== undefined,
    change.expiresAt ?? null,
    change.completedAt ?? null,
    change.kind ?? null,
    change.needsCleanup ?? null,
    JSON.stringify(change.parts ?? []),
    change.event?.type ?? null,
    change.event ? JSON.stringify(change.event.data) : null,
    change.release ?? false,
    change.forget ?? [],
    change.digests ? JSON.stringify(change.digests) : null,
    change.contentType ?? null,
    change.category ?? null,
    change.key ?? null,
    change.prefix !== undefined,
    change.prefix ?? null,
    settlementOf(upload.state, change),
    JSON.stringify(auditActorOf(change)),
    change.lossSeenAt !== undefined,
    change.lossSeenAt ?? null,
    change.deleteDueAt !== undefined,
    change.deleteDueAt ?? null,
  ]
}

function auditActorOf({ by }: UploadPatch) {
  return by ? { id: by.id, role: by.role, tenant: by.tenant, key_id: by.keyId, ...by.client } : {}
}
