/*
 * Deliveries are rows, and workers of all servers take them. The states of a delivery:
 *
 *   waiting → sending     a worker takes it, with a lease; the earlier ones of the same upload and endpoint are delivered or dead
 *   sending → delivered   the endpoint answered 2xx
 *   sending → waiting     the attempt failed, and another one follows
 *   sending → dead        the last attempt failed; the later ones of the upload go on, and name the gap
 *   sending → sending     the worker died: its lease ran out, and another worker takes the row
 *   dead, delivered → waiting   its owner asked for it again
 *
 * Only the worker whose token is in the row ends an attempt, so a worker that was away for longer than its lease changes nothing. An
 * endpoint that has failed for a while is `failing`: of its deliveries one is sent every ten minutes, so an endpoint that is down costs
 * neither the server nor most of the deliveries their attempts. Its first success lets all go that are due.
 */
import { randomUUID } from 'node:crypto'
import type { Database } from '../../db/open.ts'
import type { Addressed } from './message.ts'
import { giveUpMs, probeMs } from './schedule.ts'

/** A delivery that this worker holds. */
export interface TakenDelivery extends Addressed {
  id: number
  endpointId: string
  token: string
  /** Including the one that begins. */
  attempts: number
}

/** How an attempt ended that did not succeed. */
export interface FailedAttempt {
  /** When the next one is due; `null`: this was the last. */
  nextAt: Date | null
  status: number | null
  error: string | null
  ms: number
  /** Until when the endpoint asked for no attempts at all. */
  holdUntil: Date | null
  /** Whether the endpoint wants no more events. */
  isGone: boolean
}

/** What a failed attempt did to its endpoint. */
export type EndpointChange = 'failing' | 'paused' | null

const ms = (value: number) => `interval '${value} milliseconds'`
// Longer than an attempt may take.
const leaseMs = 60_000
/** The most deliveries to one endpoint at once; to one that is failing there is one. */
const perEndpoint = 4

const isPending = `d.state in ('waiting', 'sending')`
// Of one that is being sent this is the end of its lease, so the index gives what is due without what waits.
const isDue = `${isPending} and d.next_at <= $1`
const take = {
  name: 'webhook-take',
  // Goes from endpoint to endpoint along the index of what is pending, so the many endpoints for which nothing is pending cost nothing.
  text: `with recursive pending as (
      (select endpoint_id from webhook_deliveries d where ${isPending} order by endpoint_id limit 1)
      union all
      select (
        select d.endpoint_id from webhook_deliveries d
        where ${isPending} and d.endpoint_id > pending.endpoint_id order by d.endpoint_id limit 1)
      from pending where endpoint_id is not null),
    due as (
      select found.id from pending join webhook_endpoints e on e.id = pending.endpoint_id cross join lateral (
        select d.id, d.next_at from webhook_deliveries d
        where d.endpoint_id = e.id and ${isDue}
          and not exists (
            select from webhook_deliveries earlier
            where earlier.endpoint_id = d.endpoint_id and earlier.upload_id = d.upload_id and earlier.seq < d.seq
              and earlier.state in ('waiting', 'sending'))
        order by d.next_at, d.id
        limit greatest(0, case e.state when 'failing' then 1 else ${perEndpoint} end - (
          select count(*) from webhook_deliveries busy
          where busy.endpoint_id = e.id and busy.state = 'sending' and busy.next_at > $1))
        for update skip locked) found
      where e.state <> 'paused' and (e.not_before is null or e.not_before <= $1)
      order by found.next_at limit $2),
    taken as (
      update webhook_deliveries d set state = 'sending', attempts = attempts + 1, lease_token = $3::uuid,
        next_at = $1::timestamptz + ${ms(leaseMs)}
      from due where d.id = due.id returning d.*)
    select taken.id, taken.endpoint_id, taken.event_id, taken.upload_id, taken.seq, taken.attempts, event.type, event.data,
      event.created_at, e.url, e.secret, case when e.old_until > $1 then e.old_secret end as old_secret,
      array(
        select gone.seq from webhook_deliveries gone
        where gone.endpoint_id = taken.endpoint_id and gone.upload_id = taken.upload_id and gone.seq < taken.seq and gone.state = 'dead'
        order by gone.seq) as missing_seq
    from taken join webhook_endpoints e on e.id = taken.endpoint_id join upload_events event on event.id = taken.event_id`,
}

const released = 'lease_token = null'
const isHeld = `id = $1 and lease_token = $2::uuid and state = 'sending'`
const succeed = {
  name: 'webhook-succeed',
  text: `with done as (
      update webhook_deliveries set state = 'delivered', delivered_at = $3, last_status = $4, last_ms = $5, last_error = null, ${released}
      where ${isHeld} returning endpoint_id),
    before as (
      select e.id, e.state from webhook_endpoints e join done on e.id = done.endpoint_id
      where e.failing_since is not null for no key update of e),
    recovered as (
      update webhook_endpoints e set failing_since = null, state = case e.state when 'failing' then 'on' else e.state end,
        not_before = case e.state when 'failing' then null else e.not_before end
      from before where e.id = before.id returning before.state)
    select exists (select from recovered where state = 'failing') as is_recovered from done`,
}
const fail = {
  name: 'webhook-fail',
  text: `with done as (
      update webhook_deliveries set state = case when $4::timestamptz is null then 'dead' else 'waiting' end,
        next_at = coalesce($4, next_at), last_status = $5, last_error = $6, last_ms = $7, ${released}
      where ${isHeld} returning endpoint_id),
    before as (
      select e.id, e.tenant, e.state,
        case
          when e.state = 'paused' or $9 or e.failing_since <= $3::timestamptz - ${ms(giveUpMs)} then 'paused'
          when e.failing_since <= $3::timestamptz - ${ms(probeMs)} then 'failing'
          else e.state
        end as becomes
      from webhook_endpoints e join done on e.id = done.endpoint_id for no key update of e),
    changed as (
      update webhook_endpoints e set state = before.becomes, failing_since = coalesce(e.failing_since, $3),
        paused_because = case when before.becomes <> 'paused' then null else coalesce(e.paused_because, case when $9 then 'gone' else 'failing' end) end,
        not_before = case when before.becomes = 'failing' then greatest($3::timestamptz + ${ms(probeMs)}, $8) else greatest(e.not_before, $8) end
      from before where e.id = before.id
      returning e.id, e.paused_because, before.tenant, case when before.becomes <> before.state then before.becomes end as change),
    audited as (
      insert into audit_log (action, is_allowed, tenant, target, note)
      select 'webhook.pause', true, tenant, id::text, paused_because from changed where change = 'paused')
    select change from changed`,
}
const release = {
  name: 'webhook-release',
  text: `update webhook_deliveries set state = 'waiting', attempts = attempts - 1, next_at = $3, ${released} where ${isHeld}`,
}
const oldest = {
  name: 'webhook-oldest',
  text: `select min(d.next_at) as due_at from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
    where d.state in ('waiting', 'sending') and e.state <> 'paused'`,
}

interface TakenRow {
  id: number
  endpoint_id: string
  event_id: number
  upload_id: string
  seq: number
  attempts: number
  type: string
  data: Record<string, unknown>
  created_at: Date
  url: string
  secret: string
  old_secret: string | null
  missing_seq: number[]
}

/** Takes at most `most` due deliveries: in order for each upload and endpoint, and about four at once for each endpoint. */
export async function takeDeliveries(database: Database, now: Date, most: number): Promise<TakenDelivery[]> {
  const token = randomUUID()
  const rows = await database.query<TakenRow>(take, [now, most, token])
  return rows.map((row) => ({
    id: row.id,
    endpointId: row.endpoint_id,
    token,
    attempts: row.attempts,
    url: row.url,
    secrets: row.old_secret === null ? [row.secret] : [row.secret, row.old_secret],
    eventId: row.event_id,
    type: row.type,
    uploadId: row.upload_id,
    seq: row.seq,
    missingSeq: row.missing_seq,
    data: row.data,
    happenedAt: row.created_at,
  }))
}

/** Records that the endpoint has the event. @returns whether the endpoint was failing until now */
export async function recordSuccess(
  database: Database,
  { id, token }: TakenDelivery,
  { at, status, ms }: { at: Date; status: number; ms: number },
): Promise<boolean> {
  const [row] = await database.query<{ is_recovered: boolean }>(succeed, [id, token, at, status, ms])
  return row?.is_recovered === true
}

/** Records a failed attempt. @returns what became of the endpoint by it */
export async function recordFailure(
  database: Database,
  { id, token }: TakenDelivery,
  at: Date,
  { nextAt, status, error, ms, holdUntil, isGone }: FailedAttempt,
): Promise<EndpointChange> {
  const values = [id, token, at, nextAt, status, error, ms, holdUntil, isGone]
  const [row] = await database.query<{ change: EndpointChange }>(fail, values)
  return row?.change ?? null
}

/** Gives a delivery back whose attempt was broken off by this server; the attempt does not count. */
export async function releaseDelivery(database: Database, { id, token }: TakenDelivery, now: Date): Promise<void> {
  await database.query(release, [id, token, now])
}

/** When the oldest delivery that is not paused was or is due; `null`: there is none. */
export async function oldestDue(database: Database): Promise<Date | null> {
  const [row] = await database.query<{ due_at: Date | null }>(oldest, [])
  return row?.due_at ?? null
}
