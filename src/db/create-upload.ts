import { UploadError } from '../core/errors/error.ts'
import { errors } from '../core/errors/errors.ts'
import type { Event } from '../core/events.ts'
import { type Quota, quotaErrors } from '../core/policy/quota.ts'
import { retryAfter } from '../core/policy/rate.ts'
import type { ActorRef, UploadRepository } from '../core/ports/uploads.ts'
import { type Actor, ownerKey, type UploadRecord } from '../core/upload.ts'
import { codeOf } from './errors.ts'
import type { Database, Statement } from './open.ts'
import { repeatedBy } from './repeated-creation.ts'
import { findUsageNow, usageGroup } from './usage.ts'

/*
 * Reserves the quota and writes the upload row, its event and its audit entry in one statement, all or none. `owner_usage` is the
 * user's row of upload_usage: the first creation inserts it; concurrent creations wait for its row lock and check what it says then.
 * The limits of a user without a row are checked before the insert; a user with a row could not pass without those checks either. A
 * second run after a lost answer finds the upload and inserts nothing.
 *
 * The final upload of a concatenation takes over the reservations of its partial uploads (`partials`), so their bytes are not
 * reserved twice. `fresh` reads `taken_over` to lock the partials before the user's row: a request that completes a partial upload
 * locks in that order, and the other order could deadlock with it.
 */
function insertStatement(isFinal: boolean): Statement {
  const takenBytes = isFinal ? '(select bytes from taken_over)' : '0'
  const takenStored = isFinal ? '(select stored from taken_over)' : '0'
  // The user's counters of the current day.
  const dayBytes = `case when u.day = excluded.day then u.day_bytes else 0 end`
  const dayFiles = `case when u.day = excluded.day then u.day_files else 0 end`
  const available = `least($23::bigint - (u.reserved_bytes + u.stored_bytes - ${takenBytes}), $25::bigint - ${dayBytes})`
  // In Postgres least() ignores nulls, which stand for "no limit". An upload of unknown length reserves its maximum size, or what
  // the quota has left, and may not grow beyond its reservation.
  const granted = `coalesce($9::bigint, least($19::bigint, ${available}))`
  // As countOne in core/policy/rate, by the database's clock.
  const nextCreation = `greatest(coalesce(u.creations_until, now()), now()) + interval '1 minute' / $22::int`
  const partials = `partials as (
      select id, state, case when state = 'completed' then size else reserved end as bytes from upload_sessions
      where id = any($33::uuid[]) and reserved is not null and state in ('receiving', 'finishing', 'completed')
      order by id for update),
    taken_over as (
      select coalesce(sum(bytes), 0)::bigint as bytes,
        coalesce(sum(bytes) filter (where state = 'completed'), 0)::bigint as stored from partials),`
  // Bytes without a reservation: of a partial upload that is named again, or whose reservation another final upload has taken over.
  const copied = 'greatest(0, coalesce($9::bigint, 0) - (select bytes from taken_over))'
  const passed = `passed as (update upload_sessions s set reserved = null from partials, owner_usage where s.id = partials.id),`
  return {
    name: isFinal ? 'upload-insert-final' : 'upload-insert',
    text: `with ${isFinal ? partials : ''}
    fresh as (
      select coalesce($9::bigint, least($19::bigint, $23::bigint, $25::bigint)) as granted, (now() at time zone 'utc')::date as today
      ${isFinal ? 'from taken_over where bytes >= 0' : ''}),
    owner_usage as (
      insert into upload_usage as u (tenant, owner_id, reserved_bytes, stored_bytes, stored_files, open_uploads, open_files,
        day, day_bytes, day_files, creations_until, granted)
      select $18, $2, granted, 0, 0, 1, $27::int, today, ${isFinal ? '0' : 'granted'}, $27::int, now() + interval '1 minute' / $22::int, granted
      from fresh
      where not exists (select from upload_sessions where id = $1)
        and coalesce(granted <= least($23, $25), true) and (granted >= 1 or $9 is not null)
        and coalesce($21::int >= 1, true) and coalesce($24::int >= $27::int, true) and coalesce($26::int >= $27::int, true)
      on conflict (tenant, owner_id) do update set
        reserved_bytes = greatest(0, u.reserved_bytes - (${takenBytes} - ${takenStored})) + ${granted},
        stored_bytes = greatest(0, u.stored_bytes - ${takenStored}),
        open_uploads = u.open_uploads + 1,
        open_files = u.open_files + $27::int,
        day = excluded.day,
        day_bytes = ${dayBytes} + ${isFinal ? copied : granted},
        day_files = ${dayFiles} + $27::int,
        creations_until = coalesce(${nextCreation}, u.creations_until),
        granted = ${granted}
      where coalesce(${granted} <= ${available}, true) and (${granted} >= 1 or $9 is not null)
        ${isFinal ? `and (${copied} = 0 or coalesce(${dayBytes} + ${copied} <= $34::bigint, true))` : ''}
        and coalesce(u.open_uploads < $21::int, true)
        and coalesce(u.stored_files + u.open_files + $27::int <= $24::int, true)
        and coalesce(${dayFiles} + $27::int <= $26::int, true)
        and coalesce(${nextCreation} <= now() + interval '60.001 seconds', true)
      returning u.granted),
    ${isFinal ? passed : ''}
    inserted as (
      insert into upload_sessions (id, owner_id, role, key, filename, content_type, category, metadata, size, "offset", part_size, state,
        kind, is_partial, partials, upload_concat, digests, tail, needs_cleanup, created_at, updated_at, expires_at, tenant, max_size, time_to_live_ms, fingerprint, reserved, event_seq, agent)
      select $1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 'receiving', $11, $16, ${isFinal ? 'to_jsonb($33::uuid[]), $35' : 'null, null'}, $17::jsonb, '[]', false, $12, $12, $13, $18,
        case when $9 is null then granted else $19 end, $20, $30, granted, case when $14::text is null then 0 else 1 end, $32
      from owner_usage
      on conflict (id) do nothing
      returning id),
    events as (
      insert into upload_events (upload_id, seq, type, data) select id, 1, $14, $15::jsonb from inserted where $14::text is not null),
    audited as (
      insert into audit_log (action, is_allowed, actor, role, tenant, key_id, upload_id, address, agent)
      select 'upload.create', true, $2, $3, $18, $31, id, $28, $29 from inserted)
    select exists (select from owner_usage) as is_created, exists (select from upload_sessions where id = $1) as is_there
      ${isFinal ? `, ${copied} as copied` : `, array(${repeatedBy(parameters)}) as repeated`}`,
  }
}

// The parameters of `insertUpload`.
const parameters = {
  tenant: '$18',
  ownerId: '$2',
  role: '$3',
  filename: '$5',
  size: '$9',
  metadata: '$8',
  fingerprint: '$30',
  isPartial: '$16',
  agent: '$32',
}

// Two statements, because Postgres may plan the lookup of partial uploads as a scan of all uploads.
const insertUpload = insertStatement(false)
const insertFinal = insertStatement(true)

const uniqueViolation = '23505'

// After the statement inserted nothing and before the usage is read for the reason, other requests may free quota: then try again.
const attempts = 3

const unlimitedQuota: Quota = {
  uploadsAtOnce: null,
  creationsPerMinute: null,
  bytesPerDay: null,
  filesPerDay: null,
  totalBytes: null,
  totalFiles: null,
}

/**
 * Writes the row of a new upload, reserves its bytes within `quota` and adds it to the audit log, in one statement.
 * @throws UploadError QUOTA_EXCEEDED, RATE_LIMITED (facts.rule says which), DATABASE_ERROR
 */
export type CreateRow = UploadRepository['insert']

/** Returns the function that creates uploads in `database`. */
export function uploadCreator(database: Database): CreateRow {
  const pauses = createPauses()
  return async (upload, event, quota = unlimitedQuota, by) => {
    const owner = { id: upload.ownerId, tenant: upload.tenant }
    pauses.assertNotPaused(owner, quota)
    const isFile = !upload.isPartial
    // The bytes of a final upload were counted on the day its partial uploads received them; only bytes copied again count today.
    const final = upload.kind === 'final' ? upload : null
    const enforced = final ? { ...quota, bytesPerDay: null } : quota
    const statement = final ? insertFinal : insertUpload
    const values = insertValues(upload, event, enforced, by)
    if (final) values.push(final.partials, quota.bytesPerDay, final.uploadConcat)
    const group = usageGroup(upload)
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const [found] = await database
        .query<{ is_created: boolean; is_there: boolean; copied?: number; repeated?: string[] }>(
          statement,
          values,
          group,
        )
        .catch((error: unknown) => {
          // Since this request looked, another one has created a final upload of the same partial uploads.
          if (final && codeOf(error) === uniqueViolation) throw errors.alreadyConcatenating({}, error)
          throw error
        })
      if (found!.is_created || found!.is_there) return found!.repeated ?? []
      const { usage, now } = await findUsageNow(database, owner)
      const [error] = quotaErrors(enforced, usage, { size: upload.size, isFile }, now)
      if (error) throw pauses.remember(owner, error)
      const { copied = 0 } = found!
      const { bytesPerDay } = quota
      const [copiedError] =
        copied > 0 ? quotaErrors({ ...unlimitedQuota, bytesPerDay }, usage, { size: copied, isFile }, now) : []
      if (copiedError) throw copiedError
    }
    throw errors.tooManyCreationsAtOnce({ rule: 'uploadsAtOnce' })
  }
}

// Users over their rate; some hundred kilobytes of memory.
const maxPauses = 5000

/**
 * Remembers the users over their rate of creations, who cannot create another upload before a known moment. Until then their
 * creation requests are refused without a query, so a flood of them costs the database nothing.
 */
function createPauses() {
  const pauses = new Map<string, { until: number; perMinute: unknown; error: UploadError }>()
  return {
    assertNotPaused(owner: Pick<Actor, 'id' | 'tenant'>, { creationsPerMinute }: Quota) {
      const pause = pauses.get(ownerKey(owner))
      if (!pause) return
      const leftMs = pause.until - performance.now()
      // A limit that has changed since gives another moment.
      if (leftMs <= 0 || pause.perMinute !== creationsPerMinute) pauses.delete(ownerKey(owner))
      else {
        const { code, message, facts } = pause.error
        throw new UploadError(code, message, { ...facts, retryAfter: retryAfter(leftMs) })
      }
    },
    remember(owner: Pick<Actor, 'id' | 'tenant'>, error: UploadError): UploadError {
      const { rule, perMinute, waitMs } = error.facts
      if (rule !== 'creationsPerMinute' || typeof waitMs !== 'number') return error
      pauses.set(ownerKey(owner), { until: performance.now() + waitMs, perMinute, error })
      if (pauses.size > maxPauses) pauses.delete(pauses.keys().next().value!)
      return error
    },
  }
}

function insertValues(
  upload: UploadRecord,
  event: Event | undefined,
  quota: Quota,
  by: ActorRef | undefined,
): unknown[] {
  const { digests } = upload
  return [
    upload.id,
    upload.ownerId,
    upload.role,
    upload.key,
    upload.filename,
    upload.contentType,
    upload.category,
    upload.metadata,
    upload.size,
    upload.partSize,
    upload.kind,
    upload.createdAt,
    upload.expiresAt,
    event?.type ?? null,
    event ? JSON.stringify(event.data) : null,
    upload.isPartial,
    digests === null ? null : JSON.stringify(digests),
    upload.tenant ?? '',
    upload.maxSize,
    upload.timeToLiveMs,
    quota.uploadsAtOnce,
    quota.creationsPerMinute,
    quota.totalBytes,
    quota.totalFiles,
    quota.bytesPerDay,
    quota.filesPerDay,
    upload.isPartial ? 0 : 1,
    by?.client?.address ?? null,
    by?.client?.agent ?? null,
    upload.fingerprint,
    by?.keyId ?? null,
    upload.agent,
  ]
}
