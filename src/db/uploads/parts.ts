import type { UploadRepository } from '../../core/ports/uploads.ts'
import type { StoredPart } from '../../core/upload.ts'
import { namedStatement } from '../named-parameters.ts'
import type { Database } from '../open.ts'
import { receiptColumns, setToExcluded, setToParameters } from './part-columns.ts'

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
        set ${setToExcluded}, lock_token = excluded.lock_token, locked_until = excluded.locked_until
        where (upload_parts.lock_token is null and $6) or upload_parts.locked_until < now() or upload_parts.lock_token = excluded.lock_token
      returning number)
    select exists (select from open) as is_open, exists (select from acquired) as is_acquired, ${receiptColumns}
    from (select) as one left join upload_parts on upload_id = $1 and number = $2 and lock_token is null`,
}
const renewPartLock = {
  name: 'part-lock-renew',
  text: `update upload_parts set locked_until = now() + $4 * interval '1 millisecond'
    where upload_id = $1 and number = $2 and lock_token = $3 returning number`,
}
// A second run after a lost answer finds its own receipt. The store has accepted a part of the multipart upload, so that still exists:
// loss_seen_at is cleared.
const recordPart = namedStatement<keyof StoredPart | 'id' | 'token'>(
  'part-record',
  `with found as (update upload_sessions set loss_seen_at = null where id = :id and loss_seen_at is not null)
    update upload_parts set ${setToParameters}, lock_token = null, locked_until = null
    where upload_id = :id and number = :number and (lock_token = :token or (lock_token is null and size = :size and etag = :etag))
      and exists (select from upload_sessions where id = :id and state = 'receiving')
    returning number`,
)
const releasePartLock = {
  name: 'part-lock-release',
  text: `delete from upload_parts where upload_id = $1 and number = $2 and lock_token = $3`,
}
const isPartLocked = {
  name: 'part-is-locked',
  text: `select exists (select from upload_parts where upload_id = $1 and number = $2 and locked_until >= now()) as is_locked`,
}
const countRepeatedBytes = {
  name: 'usage-count-repeated',
  text: `update upload_usage u set day = today,
      day_bytes = case when u.day = today then u.day_bytes else 0 end + $3,
      day_files = case when u.day = today then u.day_files else 0 end
    from (select (now() at time zone 'utc')::date as today) as clock
    where u.tenant = $1 and u.owner_id = $2 returning u.day_bytes`,
}
const markWriting = {
  name: 'upload-mark-writing',
  text: `update upload_sessions set updated_at = now(), expires_at = $2, needs_cleanup = true
    where id = $1 and state = 'receiving' and (lease_until is null or lease_until < now()) returning id`,
}

/** With the existing receipt, if there was one. */
type PartLockRow = { is_open: boolean; is_acquired: boolean } & (StoredPart | Record<keyof StoredPart, null>)

type PartWrites = Pick<
  UploadRepository,
  | 'acquirePartLock'
  | 'renewPartLock'
  | 'recordPart'
  | 'releasePartLock'
  | 'isPartLocked'
  | 'countRepeatedBytes'
  | 'markWriting'
>

/** What is written to uploads of `database` outside of their locks: numbered parts. */
export function partWrites(database: Database): PartWrites {
  return {
    async acquirePartLock(id, { number, token, ms, expiresAt, replaces }) {
      const [row] = await database.query<PartLockRow>(acquirePartLock, [id, number, token, ms, expiresAt, replaces])
      const { is_open, is_acquired, ...receipt } = row!
      if (is_acquired) return 'mine'
      if (!is_open) return 'closed'
      return receipt.number === null ? 'taken' : receipt
    },
    async renewPartLock(id, { number, token, ms }) {
      return (await database.query(renewPartLock, [id, number, token, ms])).length > 0
    },
    async recordPart(id, part, token) {
      return (await database.query(recordPart, recordPart.valuesOf({ ...part, id, token }))).length > 0
    },
    async releasePartLock(id, { number, token }) {
      await database.query(releasePartLock, [id, number, token])
    },
    async isPartLocked(id, number) {
      return (await database.query<{ is_locked: boolean }>(isPartLocked, [id, number]))[0]!.is_locked
    },
    async countRepeatedBytes({ ownerId, tenant }, bytes) {
      const [row] = await database.query<{ day_bytes: number }>(countRepeatedBytes, [tenant ?? '', ownerId, bytes])
      return row?.day_bytes ?? 0
    },
    async markWriting(id, expiresAt) {
      return (await database.query(markWriting, [id, expiresAt])).length > 0
    },
  }
}
