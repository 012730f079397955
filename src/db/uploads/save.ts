import { fixedFields, type UploadPatch, type UploadRepository } from '../../core/ports/uploads.ts'
import { hasEnded, type UploadRecord } from '../../core/upload.ts'
import type { Database, Statement } from '../open.ts'
import { returnReservation, settlementOf, settleUsage, usageGroup } from '../usage.ts'
import { columnsExcept, internalFields, toColumnsJson } from './row.ts'

const saved = columnsExcept([...fixedFields, ...internalFields, 'updatedAt'])
// A column keeps its value unless the patch has its name; null sets null.
const assignments = saved.names.map(
  (column) => `${column} = case when $4::jsonb ? '${column.slice(1, -1)}' then patch.${column} else s.${column} end`,
)

/**
 * The statement by which a lock holder saves: the upload row, its parts, its event, its owner's usage and the audit entry, all or none.
 * It matches only while the row still has the holder's token and the revision that the holder last wrote or read.
 */
function saveStatement(isFinal: boolean): Statement {
  return {
    name: isFinal ? 'upload-save-final' : 'upload-save',
    text: `with saved as (
      update upload_sessions s set
        ${assignments.join(',\n        ')},
        event_seq = s.event_seq + case when $7::text is null then 0 else 1 end,
        lease_token = case when $9 then null else s.lease_token end,
        lease_until = case when $9 then null else s.lease_until end,
        lease_holder = case when $9 then s.lease_token::text else s.lease_holder end,
        revision = s.revision + 1,
        updated_at = now()
      from jsonb_to_record($4::jsonb) as patch(${saved.definition})
      where s.id = $1 and s.lease_token = $2 and s.revision = $3
      returning s.*),
    ${isFinal ? `returned as (${returnReservation('$10')}),` : ''}
    settled as (${settleUsage('$10', { returnsReservations: isFinal })}),
    added_parts as (
      insert into upload_parts (upload_id, number, size, etag)
      select saved.id, part.number, part.size, part.etag
      from saved, jsonb_to_recordset($5::jsonb) as part(number int, size bigint, etag text)
      on conflict (upload_id, number) do update set size = excluded.size, etag = excluded.etag, lock_token = null, locked_until = null),
    removed_parts as (delete from upload_parts using saved where upload_id = saved.id and number = any($6::int[])),
    cleared_parts as (
      delete from upload_parts using saved where upload_id = saved.id and saved.state not in ('receiving', 'finishing')),
    events as (
      insert into upload_events (upload_id, seq, type, data)
      select saved.id, saved.event_seq, $7, $8::jsonb from saved where $7::text is not null),
    audited as (
      insert into audit_log (action, is_allowed, actor, role, tenant, key_id, upload_id, address, agent, note)
      select 'upload.' || case when $10 = 'restored' then 'restore' else case saved.state when 'completed' then 'complete' when 'cancelled' then 'cancel' when 'expired' then 'expire' else 'fail' end end,
        true, b.id, b.role, coalesce(b.tenant, case when b.id is null then saved.tenant else '' end), b.key_id, saved.id, b.address, b.agent, saved.failure
      from saved, jsonb_to_record($11::jsonb) as b(id text, role text, tenant text, key_id text, address text, agent text)
      where $10::text is not null)
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
    const { token, revision } = fence
    const statement = saveFor(upload, patch)
    const settlement = settlementOf(upload.state, patch)
    const values = [upload.id, token, revision, ...patchValues(patch), settlement, JSON.stringify(auditActorOf(patch))]
    // Only the end of an upload changes the usage of its owner.
    const group = settlement === null ? undefined : usageGroup(upload)
    const rows = await database.queryOnce(statement, values, group)
    if (rows) return rows.length > 0
    // The answer was lost. When the repeat matches no row, the row shows whether the first run was ours.
    if ((await database.query(statement, values)).length > 0) return true
    const [row] = await database.query<LastSaveRow>(findLastSave, [upload.id])
    // revision + 1 alone proves nothing: the next holder may also have written once. Only our token in the row proves it was us.
    const lastToken = patch.release ? row?.lease_holder : row?.lease_token
    return row !== undefined && row.revision === revision + 1 && lastToken === token
  }
}

/** The statement that saves `patch`. */
function saveFor({ kind }: Pick<UploadRecord, 'kind'>, { state }: UploadPatch): Statement {
  return kind === 'final' && state !== undefined && hasEnded({ state }) ? endFinal : saveUpload
}

/** Columns, added parts, forgotten parts, event and release. */
function patchValues({ parts = [], forget = [], event, release = false, by: _, ...columns }: UploadPatch): unknown[] {
  const data = event ? JSON.stringify(event.data) : null
  return [toColumnsJson(columns), JSON.stringify(parts), forget, event?.type ?? null, data, release]
}

function auditActorOf({ by }: UploadPatch) {
  return by ? { id: by.id, role: by.role, tenant: by.tenant, key_id: by.keyId, ...by.client } : {}
}
