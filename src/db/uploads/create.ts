import { errors } from '../../core/errors/errors.ts'
import type { Event } from '../../core/events.ts'
import { type Quota, quotaErrors, unlimitedQuota } from '../../core/policy/quota.ts'
import type { InitialLock } from '../../core/ports/locks.ts'
import type { ActorRef, UploadRepository } from '../../core/ports/uploads.ts'
import type { UploadRecord } from '../../core/upload.ts'
import { codeOf } from '../errors.ts'
import { type NamedStatement, namedStatement } from '../named-parameters.ts'
import type { Database } from '../open.ts'
import { findUsageNow, usageGroup } from '../usage.ts'
import { CreationPauses } from './creation-pauses.ts'
import { repeatedCreations } from './lost-answers.ts'
import { columnsExcept, internalFields, toParameters } from './row.ts'

const created = columnsExcept([...internalFields, 'maxSize'])

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
function insertStatement(isFinal: boolean): NamedStatement<Parameter> {
  const takenBytes = isFinal ? '(select bytes from taken_over)' : '0'
  const takenStored = isFinal ? '(select stored from taken_over)' : '0'
  // The user's counters of the current day.
  const dayBytes = `case when u.day = excluded.day then u.day_bytes else 0 end`
  const dayFiles = `case when u.day = excluded.day then u.day_files else 0 end`
  const available = `least(:totalBytes::bigint - (u.reserved_bytes + u.stored_bytes - ${takenBytes}), :bytesPerDay::bigint - ${dayBytes})`
  // In Postgres least() ignores nulls, which stand for "no limit". An upload of unknown length reserves its maximum size, or what
  // the quota has left, and may not grow beyond its reservation.
  const granted = `coalesce(:size::bigint, least(:maxSize::bigint, ${available}))`
  // As countOne in core/policy/rate, by the database's clock.
  const nextCreation = `greatest(coalesce(u.creations_until, now()), now()) + interval '1 minute' / :creationsPerMinute::int`
  const partials = `partials as (
      select id, state, case when state = 'completed' then size else reserved end as bytes from upload_sessions
      where id = any(:partialIds::uuid[]) and reserved is not null and state in ('receiving', 'finishing', 'completed')
      order by id for update),
    taken_over as (
      select coalesce(sum(bytes), 0)::bigint as bytes,
        coalesce(sum(bytes) filter (where state = 'completed'), 0)::bigint as stored from partials),`
  // Bytes without a reservation: of a partial upload that is named again, or whose reservation another final upload has taken over.
  const copied = `greatest(0, coalesce(:size::bigint, 0) - (select bytes from taken_over))`
  const passed = `passed as (update upload_sessions s set reserved = null from partials, owner_usage where s.id = partials.id),`
  const text = `with ${isFinal ? partials : ''}
    fresh as (
      select coalesce(:size::bigint, least(:maxSize::bigint, :totalBytes::bigint, :bytesPerDay::bigint)) as granted, (now() at time zone 'utc')::date as today
      ${isFinal ? 'from taken_over where bytes >= 0' : ''}),
    owner_usage as (
      insert into upload_usage as u (tenant, owner_id, reserved_bytes, stored_bytes, stored_files, open_uploads, open_files,
        day, day_bytes, day_files, creations_until, granted)
      select :tenant, :ownerId, granted, 0, 0, 1, :files::int, today, ${isFinal ? '0' : 'granted'}, :files::int, now() + interval '1 minute' / :creationsPerMinute::int, granted
      from fresh
      where not exists (select from upload_sessions where id = :id)
        and coalesce(granted <= least(:totalBytes, :bytesPerDay), true) and (granted >= 1 or :size is not null)
        and coalesce(:uploadsAtOnce::int >= 1, true) and coalesce(:totalFiles::int >= :files::int, true) and coalesce(:filesPerDay::int >= :files::int, true)
      on conflict (tenant, owner_id) do update set
        reserved_bytes = greatest(0, u.reserved_bytes - (${takenBytes} - ${takenStored})) + ${granted},
        stored_bytes = greatest(0, u.stored_bytes - ${takenStored}),
        open_uploads = u.open_uploads + 1,
        open_files = u.open_files + :files::int,
        day = excluded.day,
        day_bytes = ${dayBytes} + ${isFinal ? copied : granted},
        day_files = ${dayFiles} + :files::int,
        creations_until = coalesce(${nextCreation}, u.creations_until),
        granted = ${granted}
      where coalesce(${granted} <= ${available}, true) and (${granted} >= 1 or :size is not null)
        ${isFinal ? `and (${copied} = 0 or coalesce(${dayBytes} + ${copied} <= :copiedPerDay::bigint, true))` : ''}
        and coalesce(u.open_uploads < :uploadsAtOnce::int, true)
        and coalesce(u.stored_files + u.open_files + :files::int <= :totalFiles::int, true)
        and coalesce(${dayFiles} + :files::int <= :filesPerDay::int, true)
        and coalesce(${nextCreation} <= now() + interval '60.001 seconds', true)
      returning u.granted),
    ${isFinal ? passed : ''}
    inserted as (
      insert into upload_sessions (${created.map(({ name }) => name)}, max_size, reserved, event_seq, lease_token, lease_holder, lease_until)
      select ${created.map(({ parameter }) => parameter)}, case when :size::bigint is null then granted else :maxSize end, granted,
        case when :eventType::text is null then 0 else 1 end,
        :leaseToken::uuid, :leaseHolder::text, now() + :leaseMs::float8 * interval '1 millisecond'
      from owner_usage
      on conflict (id) do nothing
      returning id, max_size),
    events as (
      insert into upload_events (upload_id, seq, type, data) select id, 1, :eventType, :eventData::jsonb from inserted where :eventType::text is not null),
    audited as (
      insert into audit_log (action, is_allowed, actor, role, tenant, key_id, upload_id, address, agent)
      select 'upload.create', true, :ownerId, :role, :tenant, :keyId, id, :address, :agentName from inserted)
    select coalesce((select max_size from inserted), (select max_size from upload_sessions where id = :id)) as max_size
      ${isFinal ? `, ${copied} as copied` : `, array(${repeatedCreations}) as repeated`}`
  return namedStatement(isFinal ? 'upload-insert-final' : 'upload-insert', text)
}

// Two statements, because Postgres may plan the lookup of partial uploads as a scan of all uploads.
const insertUpload = insertStatement(false)
const insertFinal = insertStatement(true)

const uniqueViolation = '23505'

// After the statement inserted nothing and before the usage is read for the reason, other requests may free quota: then try again.
const attempts = 3

interface InsertedRow {
  /** Null: no row was inserted, and there is none. */
  max_size: number | null
  copied?: number
  repeated?: string[]
}

/**
 * Writes the row of a new upload, reserves its bytes within `quota` and adds it to the audit log, in one statement.
 * @throws UploadError QUOTA_EXCEEDED, RATE_LIMITED (facts.rule says which), DATABASE_ERROR
 */
export type CreateRow = UploadRepository['insert']

/** Returns the function that creates uploads in `database`. */
export function uploadCreator(database: Database): CreateRow {
  const pauses = new CreationPauses()
  return async (upload, event, quota = unlimitedQuota, by, lock) => {
    const owner = { id: upload.ownerId, tenant: upload.tenant }
    pauses.assertNotPaused(owner, quota)
    const isFile = !upload.isPartial
    // The bytes of a final upload were counted on the day its partial uploads received them; only bytes copied again count today.
    const final = upload.kind === 'final' ? upload : null
    const enforced = final ? { ...quota, bytesPerDay: null } : quota
    const statement = final ? insertFinal : insertUpload
    const values = statement.valuesOf(parametersOf(upload, event, enforced, quota, by, lock))
    const group = usageGroup(upload)
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const [found] = await database.query<InsertedRow>(statement, values, group).catch((error: unknown) => {
        // Since this request looked, another one has created a final upload of the same partial uploads.
        if (final && codeOf(error) === uniqueViolation) throw errors.alreadyConcatenating({}, error)
        throw error
      })
      const { max_size: maxSize, repeated = [], copied = 0 } = found!
      if (maxSize !== null) return { maxSize, repeated }
      const { usage, now } = await findUsageNow(database, owner)
      const [error] = quotaErrors(enforced, usage, { size: upload.size, isFile }, now)
      if (error) throw pauses.remember(owner, error)
      const { bytesPerDay } = quota
      const [copiedError] =
        copied > 0 ? quotaErrors({ ...unlimitedQuota, bytesPerDay }, usage, { size: copied, isFile }, now) : []
      if (copiedError) throw copiedError
    }
    throw errors.tooManyCreationsAtOnce({ rule: 'uploadsAtOnce' })
  }
}

type Parameter = keyof ReturnType<typeof parametersOf>

/** The parameters of both statements. */
function parametersOf(
  upload: UploadRecord,
  event: Event | undefined,
  quota: Quota,
  { bytesPerDay: copiedPerDay }: Quota,
  by: ActorRef | undefined,
  lock: InitialLock | undefined,
) {
  return {
    ...toParameters(upload),
    tenant: upload.tenant ?? '',
    files: upload.isPartial ? 0 : 1,
    eventType: event?.type ?? null,
    eventData: event ? JSON.stringify(event.data) : null,
    uploadsAtOnce: quota.uploadsAtOnce,
    creationsPerMinute: quota.creationsPerMinute,
    totalBytes: quota.totalBytes,
    totalFiles: quota.totalFiles,
    bytesPerDay: quota.bytesPerDay,
    filesPerDay: quota.filesPerDay,
    address: by?.client?.address ?? null,
    agentName: by?.client?.agent ?? null,
    keyId: by?.keyId ?? null,
    leaseToken: lock?.token ?? null,
    leaseHolder: lock?.holder ?? null,
    leaseMs: lock?.ms ?? null,
    // Of a final upload only.
    partialIds: upload.kind === 'final' ? upload.partials : null,
    copiedPerDay,
  }
}
