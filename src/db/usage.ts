/*
 * What each user takes of the server: one row a user. It changes in the statement that creates, ends or deletes an upload, so
 * it never says less than what is there. A creation takes the user's row first, and of many at once each sees what
 * the one before it left.
 *
 * An upload takes `reserved` bytes of its owner's room from its creation on: its size, or what it may become while its
 * length is unknown. A partial upload whose room has passed to the final one that is made of it has no `reserved` any more.
 */

import { noUsage, type Usage } from '../core/policy/quota.ts'
import type { UploadPatch } from '../core/ports.ts'
import type { Actor, UploadRecord, UploadState } from '../core/upload.ts'
import type { Database } from './open.ts'

/** What the end of an upload does to its owner's room. */
export type Settlement = 'stored' | 'released' | 'freed' | 'restored'

/** How `change` settles what an upload in state `before` has taken; `null`: it goes on. */
export function settlementOf(before: UploadState, { state }: UploadPatch): Settlement | null {
  if (state === undefined || state === 'receiving' || state === 'finishing') return null
  if (state === 'completed') return before === 'cancelled' || before === 'failed' ? 'restored' : 'stored'
  return before === 'completed' ? 'freed' : 'released'
}

/**
 * The part of a statement that gives its partial uploads back what a final one took over from them, when it has not become a
 * file: they are still there. What they are given counts in `settleUsage`.
 */
export function returnReservation(parameter: string): string {
  return `update upload_sessions p set reserved = coalesce(p.size, p.max_size)
    from saved, jsonb_array_elements_text(saved.concat->'from') as lender(id)
    where ${parameter} = 'released' and p.id = lender.id::uuid and p.reserved is null
      and p.state in ('receiving', 'finishing', 'completed')
    returning p.state, p.size, p.reserved`
}

/**
 * The part of a statement that settles: `saved` is a CTE with the session's columns as they are after it, `parameter` holds the
 * settlement. What an upload that did not become a file was charged for its day is given back but for what came.
 * `returnsRoom`: the statement has `returnRoom` as `returned`.
 */
export function settleUsage(parameter: string, { returnsRoom }: { returnsRoom: boolean }): string {
  const isOpen = `${parameter} in ('stored', 'released')`
  const isFile = `(case when saved.concat->>'kind' = 'partial' then 0 else 1 end)`
  const kept = `(case when saved.reserved is null then 0 else saved.size end)`
  const isToday = `u.day = (saved.created_at at time zone 'utc')::date`
  const isFinal = `saved.concat->>'kind' = 'final'`
  const toOpen = returnsRoom
    ? `+ (select coalesce(sum(reserved), 0)::bigint from returned where state <> 'completed')`
    : ''
  const toStored = returnsRoom
    ? `+ (select coalesce(sum(size), 0)::bigint from returned where state = 'completed')`
    : ''
  // Numbered chunks come in any order: what lies beyond a hole is not in the offset, and has come all the same.
  const came = `(case when saved.has_numbered_parts then greatest(saved."offset", (select coalesce(sum(p.size), 0)::bigint
        from upload_parts p where p.upload_id = saved.id and p.lock_token is null)) else saved."offset" end)`
  return `update upload_usage u set
      reserved_bytes = case when ${isOpen} then greatest(0, u.reserved_bytes - coalesce(saved.reserved, 0)) else u.reserved_bytes end ${toOpen},
      open_uploads = case when ${isOpen} then greatest(0, u.open_uploads - 1) else u.open_uploads end,
      open_files = case when ${isOpen} then greatest(0, u.open_files - ${isFile}) else u.open_files end,
      stored_bytes = greatest(0, u.stored_bytes + case ${parameter} when 'stored' then ${kept} when 'restored' then ${kept} when 'freed' then -${kept} else 0 end) ${toStored},
      stored_files = greatest(0, u.stored_files + case ${parameter} when 'stored' then ${isFile} when 'restored' then ${isFile} when 'freed' then -${isFile} else 0 end),
      day_bytes = case when ${isToday} and ${isOpen} and saved.reserved is not null and ${isFinal} is not true
        then greatest(0, u.day_bytes - saved.reserved + ${came}) else u.day_bytes end,
      day_files = case when ${isToday} and ${parameter} = 'released' then greatest(0, u.day_files - ${isFile}) else u.day_files end
    from saved
    where ${parameter}::text is not null and u.tenant = saved.tenant and u.owner_id = saved.owner_id`
}

const shrink = {
  name: 'usage-shrink',
  text: `with known as (
      select id, tenant, owner_id, created_at, size, reserved, concat->>'kind' as kind from upload_sessions
      where id = $1 and state in ('receiving', 'finishing') and reserved > size for update),
    cut as (update upload_sessions s set reserved = known.size from known where s.id = known.id)
    update upload_usage u set
      reserved_bytes = greatest(0, u.reserved_bytes - known.reserved + known.size),
      day_bytes = case when u.day = (known.created_at at time zone 'utc')::date and known.kind is distinct from 'final'
        then greatest(0, u.day_bytes - known.reserved + known.size) else u.day_bytes end
    from known where u.tenant = known.tenant and u.owner_id = known.owner_id`,
}

/** Gives back what an upload was reserved beyond the size that is known now. Done again it changes nothing. */
export async function shrinkReservation(database: Database, { id }: Pick<UploadRecord, 'id'>): Promise<void> {
  await database.query(shrink, [id])
}

/** What `toUsage` reads of `upload_usage`: what was of another day counts no more. */
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

/** A user's row, as core knows it. */
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

/** What `actor` takes of the server. Throws `UploadError DATABASE_ERROR`. */
export async function findUsageOf(database: Database, actor: Pick<Actor, 'id' | 'tenant'>): Promise<Usage> {
  return (await findUsageNow(database, actor)).usage
}

/** As `findUsageOf`, with the time by the clock that it was counted by. */
export async function findUsageNow(
  database: Database,
  { id, tenant }: Pick<Actor, 'id' | 'tenant'>,
): Promise<{ usage: Usage; now: Date }> {
  const [row] = await database.query<UsageRow & { now: Date }>(findUsage, [tenant ?? '', id])
  return row ? { usage: toUsage(row), now: row.now } : { usage: noUsage, now: new Date() }
}
