/*
 * The usage of each user, one row a user. The statement that creates, ends or deletes an upload also updates it, so it never counts
 * less than what is there. A creation locks the user's row first, so that concurrent creations see each other's reservations.
 *
 * From its creation on an upload reserves `reserved` bytes of its owner's quota: its size or, while its length is unknown, its maximum
 * size. When a final upload takes over the reservation of a partial one, the partial one's `reserved` becomes null.
 */

import { noUsage, type Usage } from '../core/policy/quota.ts'
import type { UploadPatch } from '../core/ports/uploads.ts'
import { type Actor, ownerKey, type UploadRecord, type UploadState } from '../core/upload.ts'
import type { Database } from './open.ts'

/** What a change of state does to the owner's usage. */
export type Settlement = 'stored' | 'released' | 'freed' | 'restored'

/** How `change` settles the reservation of an upload in state `before`; `null` while it is still open. */
export function settlementOf(before: UploadState, { state }: UploadPatch): Settlement | null {
  if (state === undefined || state === 'receiving' || state === 'finishing') return null
  if (state === 'completed') return before === 'cancelled' || before === 'failed' ? 'restored' : 'stored'
  return before === 'completed' ? 'freed' : 'released'
}

/**
 * The group of the statements that change the usage of the upload's owner. A final upload and its partial ones have none: their
 * statements lock each other's rows as well, and two transactions of several such statements could deadlock.
 */
export function usageGroup(
  upload: Pick<UploadRecord, 'ownerId' | 'tenant' | 'kind' | 'isPartial'>,
): string | undefined {
  if (upload.kind === 'final' || upload.isPartial) return undefined
  return `usage ${ownerKey({ id: upload.ownerId, tenant: upload.tenant })}`
}

/**
 * SQL that returns their reservations to the partial uploads when their final upload ends without a file: they are still there.
 * `settleUsage` adds what was returned to the usage.
 */
export function returnReservation(parameter: string): string {
  return `update upload_sessions p set reserved = coalesce(p.size, p.max_size)
    from saved, jsonb_array_elements_text(saved.partials) as partial(id)
    where ${parameter} = 'released' and p.id = partial.id::uuid and p.reserved is null
      and p.state in ('receiving', 'finishing', 'completed')
    returning p.state, p.size, p.reserved`
}

/**
 * SQL that updates the owner's usage. `saved` is a CTE with the upload's columns after the change, `parameter` holds the
 * `Settlement`. The day keeps only the received bytes of an upload that ended without a file.
 * @param options `returnsReservations`: the statement has `returnReservation` as a CTE named `returned`
 */
export function settleUsage(parameter: string, { returnsReservations }: { returnsReservations: boolean }): string {
  const isOpen = `${parameter} in ('stored', 'released')`
  const isFile = `(case when saved.is_partial then 0 else 1 end)`
  const size = `(case when saved.reserved is null then 0 else saved.size end)`
  const isToday = `u.day = (saved.created_at at time zone 'utc')::date`
  const toReserved = returnsReservations
    ? `+ (select coalesce(sum(reserved), 0)::bigint from returned where state <> 'completed')`
    : ''
  const toStored = returnsReservations
    ? `+ (select coalesce(sum(size), 0)::bigint from returned where state = 'completed')`
    : ''
  // Numbered parts arrive in any order, so the offset leaves out received parts behind a gap.
  const received = `(case when saved.kind = 'parted' then greatest(saved."offset", (select coalesce(sum(p.size), 0)::bigint
        from upload_parts p where p.upload_id = saved.id and p.lock_token is null)) else saved."offset" end)`
  return `update upload_usage u set
      reserved_bytes = case when ${isOpen} then greatest(0, u.reserved_bytes - coalesce(saved.reserved, 0)) else u.reserved_bytes end ${toReserved},
      open_uploads = case when ${isOpen} then greatest(0, u.open_uploads - 1) else u.open_uploads end,
      open_files = case when ${isOpen} then greatest(0, u.open_files - ${isFile}) else u.open_files end,
      stored_bytes = greatest(0, u.stored_bytes + case ${parameter} when 'stored' then ${size} when 'restored' then ${size} when 'freed' then -${size} else 0 end) ${toStored},
      stored_files = greatest(0, u.stored_files + case ${parameter} when 'stored' then ${isFile} when 'restored' then ${isFile} when 'freed' then -${isFile} else 0 end),
      day_bytes = case when ${isToday} and ${isOpen} and saved.reserved is not null and saved.kind <> 'final'
        then greatest(0, u.day_bytes - saved.reserved + ${received}) else u.day_bytes end,
      day_files = case when ${isToday} and ${parameter} = 'released' then greatest(0, u.day_files - ${isFile}) else u.day_files end
    from saved
    where ${parameter}::text is not null and u.tenant = saved.tenant and u.owner_id = saved.owner_id`
}

const shrink = {
  name: 'usage-shrink',
  text: `with known as (
      select id, tenant, owner_id, created_at, size, reserved, kind from upload_sessions
      where id = $1 and state in ('receiving', 'finishing') and reserved > size for update),
    cut as (update upload_sessions s set reserved = known.size from known where s.id = known.id)
    update upload_usage u set
      reserved_bytes = greatest(0, u.reserved_bytes - known.reserved + known.size),
      day_bytes = case when u.day = (known.created_at at time zone 'utc')::date and known.kind <> 'final'
        then greatest(0, u.day_bytes - known.reserved + known.size) else u.day_bytes end
    from known where u.tenant = known.tenant and u.owner_id = known.owner_id`,
}

/** Reduces the reservation of an upload to its size, which has become known. Idempotent. */
export async function shrinkReservation(database: Database, id: string): Promise<void> {
  await database.query(shrink, [id])
}

/** The columns of `upload_usage` that `toUsage` reads; the counters of an earlier day count as 0. */
export const usageColumns = `reserved_bytes, stored_bytes, stored_files, open_uploads, open_files, creations_until,
      case when day = (now() at time zone 'utc')::date then day_bytes else 0 end as day_bytes,
      case when day = (now() at time zone 'utc')::date then day_files else 0 end as day_files`

export interface UsageRow {
  reserved_bytes: number
  stored_bytes: number
  stored_files: number
  open_uploads: number
  open_files: number
  day_bytes: number
  day_files: number
  creations_until: Date | null
}

/** Converts a user's row. */
export function toUsage(row: UsageRow): Usage {
  return {
    reservedBytes: row.reserved_bytes,
    storedBytes: row.stored_bytes,
    storedFiles: row.stored_files,
    openUploads: row.open_uploads,
    openFiles: row.open_files,
    dayBytes: row.day_bytes,
    dayFiles: row.day_files,
    creationsUntil: row.creations_until,
  }
}

const findUsage = {
  name: 'usage-find',
  text: `select now() as now, ${usageColumns} from upload_usage where tenant = $1 and owner_id = $2`,
}

/** The usage of `actor`. @throws UploadError DATABASE_ERROR */
export async function findUsageOf(database: Database, actor: Pick<Actor, 'id' | 'tenant'>): Promise<Usage> {
  return (await findUsageNow(database, actor)).usage
}

/** As `findUsageOf`, with the database's time. */
export async function findUsageNow(
  database: Database,
  { id, tenant }: Pick<Actor, 'id' | 'tenant'>,
): Promise<{ usage: Usage; now: Date }> {
  const [row] = await database.query<UsageRow & { now: Date }>(findUsage, [tenant ?? '', id])
  return row ? { usage: toUsage(row), now: row.now } : { usage: noUsage, now: new Date() }
}
