import { maxReplayed } from '../../contract/webhooks.ts'
import type { Actor } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'
import { receives } from './fan-out.ts'

/** Which events of an endpoint are sent again: those that are dead, all, or all of one upload. */
export type ReplayOnly = { only: 'dead' | 'all' } | { only: 'upload'; uploadId: string }

export interface ReplayRange {
  since: string
  /** Exclusive. */
  until: string
}

/** What a replay began. */
export interface ReplayStart {
  replayed: number
  /** The time of the first event that is left; `null`: none is. */
  next: Date | null
}

// Replayed events go out at this distance, so that new ones go out between them.
const spacingMs = 100
const inRange = `event.created_at >= $3::timestamptz and event.created_at < $4::timestamptz`
const chosen = {
  dead: `join webhook_deliveries d on d.event_id = event.id and d.endpoint_id = e.id and d.state = 'dead'`,
  all: '',
  upload: '',
}

const statements = {
  dead: replayStatement('dead'),
  all: replayStatement('all'),
  upload: replayStatement('upload'),
}

/** Also events for which there is no delivery: older than the endpoint, or than the retention of deliveries. */
function replayStatement(only: keyof typeof chosen) {
  const which = only === 'upload' ? ' and event.upload_id = $11::uuid' : ''
  const fits = receives(`coalesce(event.data->>'tenant', '')`, `event.data->>'ownerId'`, 'event.type')
  return {
    name: `webhook-replay-${only}`,
    text: `with wanted as (
        select event.id, event.upload_id, event.seq, event.created_at, row_number() over (order by event.created_at, event.id) as number
        from webhook_endpoints e join upload_events event on ${fits} ${chosen[only]}
        where e.id = $1::uuid and ${inRange}${which}
        order by event.created_at, event.id limit ${maxReplayed + 1}),
      replayed as (
        insert into webhook_deliveries (endpoint_id, event_id, upload_id, seq, next_at, created_at)
        select $1::uuid, id, upload_id, seq, $2::timestamptz + (number - 1) * interval '${spacingMs} milliseconds', $2::timestamptz
        from wanted where number <= ${maxReplayed}
        on conflict (endpoint_id, event_id) do update set state = 'waiting', attempts = 0, next_at = excluded.next_at
          where webhook_deliveries.state in ('delivered', 'dead')
        returning id),
      audited as (
        insert into audit_log (action, is_allowed, actor, role, tenant, key_id, address, agent, target, note)
        select 'webhook.replay', true, $5, $6, $7, $8, $9, $10, $1::text, '${only}: ' || (select count(*) from replayed))
      select (select count(*)::int from replayed) as replayed, (select created_at from wanted where number > ${maxReplayed}) as next`,
  }
}

const retry = {
  name: 'webhook-retry',
  text: `update webhook_deliveries set state = 'waiting', attempts = 0, next_at = $3
    where id = $1 and endpoint_id = $2 and state <> 'sending' returning id`,
}
const exists = {
  name: 'webhook-delivery-exists',
  text: `select from webhook_deliveries where id = $1 and endpoint_id = $2`,
}

/** Sends events of the endpoint once more, the oldest first, at most 1,000. What is on its way already stays as it is. */
export async function replay(
  database: Database,
  actor: Actor,
  endpointId: string,
  { since, until }: ReplayRange,
  which: ReplayOnly,
  now: Date,
): Promise<ReplayStart> {
  const { id, role, tenant, keyId, client } = actor
  const by = [id, role, tenant ?? '', keyId ?? null, client?.address ?? null, client?.agent ?? null]
  const values = [endpointId, now, since, until, ...by, ...(which.only === 'upload' ? [which.uploadId] : [])]
  const [started] = await database.query<ReplayStart>(statements[which.only], values)
  return started!
}

/** Sends one delivery of the endpoint again, at once. @returns whether the endpoint has it; one that is being sent stays as it is */
export async function retryDelivery(database: Database, endpointId: string, id: number, now: Date): Promise<boolean> {
  const retried = await database.query(retry, [id, endpointId, now])
  return retried.length > 0 || (await database.query(exists, [id, endpointId])).length > 0
}
