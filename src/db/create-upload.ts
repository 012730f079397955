import { UploadError } from '../core/errors/error.ts'
import type { Event } from '../core/events.ts'
import { type Quota, quotaErrors } from '../core/policy/quota.ts'
import { retryAfter } from '../core/policy/rate.ts'
import type { ActorRef, UploadRepository } from '../core/ports.ts'
import { type Actor, ownerKey, type UploadRecord } from '../core/upload.ts'
import { codeOf } from './errors.ts'
import type { Database, Statement } from './open.ts'
import { repeatedBy } from './repeated-creation.ts'
import { findUsageNow } from './usage.ts'

/*
 * The room, the session, its event and the line in the record, together or not at all. `mine` is the user's row: the first
 * creation inserts it, all others wait for one another at it and look at what it says then. What has to hold for a user
 * without a row is asked before; nobody with a row could pass without it either. A second run after a lost answer finds the
 * session and inserts nothing.
 *
 * The final upload of a concatenation takes over what its partial ones (`lenders`) were given, which is not taken twice then.
 * `fresh` reads `lent`, so that they are locked before the user's row, as whoever completes one of them does.
 */
function insertStatement(isFinal: boolean): Statement {
  const lentBytes = isFinal ? '(select bytes from lent)' : '0'
  const lentStored = isFinal ? '(select stored from lent)' : '0'
  // What the user's row says on the day of the statement.
  const dayBytes = `case when u.day = excluded.day then u.day_bytes else 0 end`
  const dayFiles = `case when u.day = excluded.day then u.day_files else 0 end`
  const room = `least($23::bigint - (u.reserved_bytes + u.stored_bytes - ${lentBytes}), $25::bigint - ${dayBytes})`
  // In Postgres least() passes over nulls: a limit that is none. A file of unknown length is given all that it may become, if
  // there is so much, and is held to what it was given.
  const granted = `coalesce($9::bigint, least($19::bigint, ${room}))`
  // As countOne in core/policy/rate, with the clock of the database.
  const nextCreation = `greatest(coalesce(u.creations_until, now()), now()) + interval '1 minute' / $22::int`
  const lenders = `lenders as (
      select id, state, case when state = 'completed' then size else reserved end as bytes from upload_sessions
      where id = any($33::uuid[]) and reserved is not null and state in ('receiving', 'finishing', 'completed')
      order by id for update),
    lent as (
      select coalesce(sum(bytes), 0)::bigint as bytes,
        coalesce(sum(bytes) filter (where state = 'completed'), 0)::bigint as stored from lenders),`
  // What no partial upload was charged for: bytes of one that is named again, or that another final upload has taken over.
  const copied = 'greatest(0, coalesce($9::bigint, 0) - (select bytes from lent))'
  const passed = `passed as (update upload_sessions s set reserved = null from lenders, mine where s.id = lenders.id),`
  return {
    name: isFinal ? 'session-insert-final' : 'session-insert',
    text: `with ${isFinal ? lenders : ''}
    fresh as (
      select coalesce($9::bigint, least($19::bigint, $23::bigint, $25::bigint)) as granted, (now() at time zone 'utc')::date as today
      ${isFinal ? 'from lent where bytes >= 0' : ''}),
    mine as (
      insert into upload_usage as u (tenant, owner_id, reserved_bytes, stored_bytes, stored_files, open_uploads, open_files,
        day, day_bytes, day_files, creations_until, granted)
      select $18, $2, granted, 0, 0, 1, $27::int, today, ${isFinal ? '0' : 'granted'}, $27::int, now() + interval '1 minute' / $22::int, granted
      from fresh
      where not exists (select from upload_sessions where id = $1)
        and coalesce(granted <= least($23, $25), true) and (granted >= 1 or $9 is not null)
        and coalesce($21::int >= 1, true) and coalesce($24::int >= $27::int, true) and coalesce($26::int >= $27::int, true)
      on conflict (tenant, owner_id) do update set
        reserved_bytes = greatest(0, u.reserved_bytes - (${lentBytes} - ${lentStored})) + ${granted},
        stored_bytes = greatest(0, u.stored_bytes - ${lentStored}),
        open_uploads = u.open_uploads + 1,
        open_files = u.open_files + $27::int,
        day = excluded.day,
        day_bytes = ${dayBytes} + ${isFinal ? copied : granted},
        day_files = ${dayFiles} + $27::int,
        creations_until = coalesce(${nextCreation}, u.creations_until),
        granted = ${granted}
      where coalesce(${granted} <= ${room}, true) and (${granted} >= 1 or $9 is not null)
        ${isFinal ? `and (${copied} = 0 or coalesce(${dayBytes} + ${copied} <= $34::bigint, true))` : ''}
        and coalesce(u.open_uploads < $21::int, true)
        and coalesce(u.stored_files + u.open_files + $27::int <= $24::int, true)
        and coalesce(${dayFiles} + $27::int <= $26::int, true)
        and coalesce(${nextCreation} <= now() + interval '60.001 seconds', true)
      returning u.granted),
    ${isFinal ? passed : ''}
    inserted as (
      insert into upload_sessions (id, owner_id, role, key, filename, content_type, category, metadata, size, "offset", part_size, state,
        concat, digests, tail, has_numbered_parts, needs_cleanup, created_at, updated_at, expires_at, tenant, max_size, time_to_live_ms, fingerprint, reserved, event_seq, agent)
      select $1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 'receiving', $11::jsonb, $17::jsonb, '[]', $16, false, $12, $12, $13, $18,
        case when $9 is null then granted else $19 end, $20, $30, granted, case when $14::text is null then 0 else 1 end, $32
      from mine
      on conflict (id) do nothing
      returning id),
    told as (
      insert into upload_events (upload_id, seq, type, data) select id, 1, $14, $15::jsonb from inserted where $14::text is not null),
    audited as (
      insert into audit_log (action, is_allowed, actor, role, tenant, key_id, upload_id, address, agent)
      select 'upload.create', true, $2, $3, $18, $31, id, $28, $29 from inserted)
    select exists (select from mine) as is_mine, exists (select from upload_sessions where id = $1) as is_there
      ${isFinal ? `, ${copied} as copied` : `, array(${repeatedBy(askedIn)}) as repeated`}`,
  }
}

// Of a partial upload nothing is distinct; `concat` is null of others.
const askedIn = {
  tenant: '$18',
  ownerId: '$2',
  role: '$3',
  filename: '$5',
  size: '$9',
  metadata: '$8',
  fingerprint: '$30',
  isPartial: '($11::jsonb is not null)',
  agent: '$32',
}

// Two of them, because a plan for the one that looks for partial uploads may look through all uploads.
const insertUpload = insertStatement(false)
const insertFinal = insertStatement(true)

const uniqueViolation = '23505'

// Between a refusal and the look at the reason others may have given room back.
const attempts = 3

/** Nobody is held to anything. */
const unlimitedQuota: Quota = {
  uploadsAtOnce: null,
  creationsPerMinute: null,
  bytesPerDay: null,
  filesPerDay: null,
  totalBytes: null,
  totalFiles: null,
}

/**
 * Writes the session of a new upload, reserves its room within `quota` and writes it down for the record, in one statement.
 * @throws UploadError QUOTA_EXCEEDED, RATE_LIMITED (facts.rule says which), DATABASE_ERROR
 */
export type CreateRow = UploadRepository['insert']

/** What creates sessions in `database`. */
export function uploadCreator(database: Database): CreateRow {
  const early = createPauses()
  return async (upload, event, quota = unlimitedQuota, by) => {
    const owner = { id: upload.ownerId, tenant: upload.tenant }
    early.refuse(owner, quota)
    const isFile = upload.concat?.kind !== 'partial'
    // Its bytes came with its partial uploads, and counted on their day; what is copied once more counts today.
    const final = upload.concat?.kind === 'final' ? upload.concat : null
    const held = final ? { ...quota, bytesPerDay: null } : quota
    const statement = final ? insertFinal : insertUpload
    const values = insertValues(upload, event, held, by)
    if (final) values.push(final.from, quota.bytesPerDay)
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const [found] = await database
        .query<{ is_mine: boolean; is_there: boolean; copied?: number; repeated?: string[] }>(statement, values)
        .catch((error: unknown) => {
          // Another request has begun a file of the same partial uploads since this one looked for it.
          if (final && codeOf(error) === uniqueViolation) throw justBegun(error)
          throw error
        })
      if (found!.is_mine || found!.is_there) return found!.repeated ?? []
      const { usage, now } = await findUsageNow(database, owner)
      const [error] = quotaErrors(held, usage, { size: upload.size, isFile }, now)
      if (error) throw early.remember(owner, error)
      const { copied = 0 } = found!
      const { bytesPerDay } = quota
      const [tooMuch] =
        copied > 0 ? quotaErrors({ ...unlimitedQuota, bytesPerDay }, usage, { size: copied, isFile }, now) : []
      if (tooMuch) throw tooMuch
    }
    throw new UploadError('RATE_LIMITED', 'Many uploads begin at once. Please try again in a moment.', {
      rule: 'uploadsAtOnce',
    })
  }
}

function justBegun(cause: unknown): UploadError {
  const message = 'This file is being put together already. Please ask again in a moment.'
  return new UploadError('UPLOAD_LOCKED', message, {}, { cause })
}

// Of users who began too many uploads; the memory of some hundred kilobytes.
const maxPauses = 5000

/**
 * Who began too many uploads within a minute cannot begin another one before a certain moment, whatever happens: until then
 * the database need not be asked, and a flood costs it nothing.
 */
function createPauses() {
  const pauses = new Map<string, { until: number; perMinute: unknown; refusal: UploadError }>()
  return {
    refuse(owner: Pick<Actor, 'id' | 'tenant'>, { creationsPerMinute }: Quota) {
      const pause = pauses.get(ownerKey(owner))
      if (!pause) return
      const leftMs = pause.until - performance.now()
      // Other policies, other times.
      if (leftMs <= 0 || pause.perMinute !== creationsPerMinute) pauses.delete(ownerKey(owner))
      else
        throw new UploadError(pause.refusal.code, pause.refusal.message, {
          ...pause.refusal.facts,
          retryAfter: retryAfter(leftMs),
        })
    },
    remember(owner: Pick<Actor, 'id' | 'tenant'>, error: UploadError): UploadError {
      const { rule, perMinute, waitMs } = error.facts
      if (rule !== 'creationsPerMinute' || typeof waitMs !== 'number') return error
      pauses.set(ownerKey(owner), { until: performance.now() + waitMs, perMinute, refusal: error })
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
  const { concat, digests } = upload
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
    concat === null ? null : JSON.stringify(concat),
    upload.createdAt,
    upload.expiresAt,
    event?.type ?? null,
    event ? JSON.stringify(event.data) : null,
    upload.hasNumberedParts,
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
    concat?.kind === 'partial' ? 0 : 1,
    by?.client?.address ?? null,
    by?.client?.agent ?? null,
    upload.fingerprint,
    by?.keyId ?? null,
    upload.agent,
  ]
}
