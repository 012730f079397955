import { randomUUID } from 'node:crypto'
import { errors } from '../../core/errors/errors.ts'
import type { Actor } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'
import { rotationMs } from './schedule.ts'
import { newSecret } from './signature.ts'

/** An endpoint without its secrets. */
export interface Endpoint {
  id: string
  tenant: string | null
  ownerId: string
  reach: 'own' | 'all'
  url: string
  events: string[]
  state: 'on' | 'failing' | 'paused'
  pausedBecause: 'request' | 'gone' | 'failing' | null
  failingSince: Date | null
  oldUntil: Date | null
  createdAt: Date
}

/** The fields of a new endpoint. */
export type CreateEndpoint = Pick<Endpoint, 'url' | 'events' | 'reach'>

/** What may be changed of an endpoint; a field that is not given stays. */
export interface ChangeEndpoint {
  url?: string | undefined
  events?: string[] | undefined
  state?: 'on' | 'paused' | undefined
}

const columns = 'id, tenant, owner_id, reach, url, events, state, paused_because, failing_since, old_until, created_at'
/** An endpoint for all uploads is its owner's only as long as that user is an administrator. `$1` to `$4`: `reachOf`. */
const isReachable = `(reach = 'own' and owner_id = $1 and tenant = $2 or $3 and ($4::text is null or tenant = $4))`
/** An audit entry for each of `rows`; the values of `auditOf` begin at `$first`. Of the URL it has the origin: the path often is a secret. */
const audited = (action: string, rows: string, first: number) =>
  `audited as (
    insert into audit_log (action, is_allowed, actor, tenant, role, key_id, address, agent, target, note)
    select '${action}', true, $1, $2, $${first}, $${first + 1}, $${first + 2}, $${first + 3}, id::text,
      substring(url from '^[a-z]+://[^/?#]+') from ${rows})`

const insertEndpoint = {
  name: 'webhook-insert',
  text: `with added as (
      insert into webhook_endpoints (id, tenant, owner_id, slot, reach, url, events, secret, created_at)
      select $7, $2, $1, slot, $8, $9, $10::jsonb, $11, $12 from generate_series(1, $13::int) slot
      where not exists (select from webhook_endpoints e where e.tenant = $2 and e.owner_id = $1 and e.slot = slot.slot)
      order by slot limit 1
      on conflict do nothing returning ${columns}),
    ${audited('webhook.create', 'added', 3)}
    select ${columns} from added`,
}
const countEndpoints = {
  name: 'webhook-count',
  text: `select count(*)::int as count from webhook_endpoints where owner_id = $1 and tenant = $2`,
}
const findEndpoint = {
  name: 'webhook-find',
  text: `select ${columns}, secret, case when old_until > $6 then old_secret end as old_secret
    from webhook_endpoints where id = $5 and ${isReachable}`,
}
const listStatement = (name: string, condition: string) => ({
  name,
  text: `select ${columns} from webhook_endpoints where ${condition} order by created_at desc, id limit 1000`,
})
const listOwn = listStatement('webhook-list-own', `owner_id = $1 and tenant = $2 and ${isReachable}`)
const listAll = listStatement('webhook-list-all', isReachable)
const changeEndpoint = {
  name: 'webhook-change',
  // A new URL, and switching on, begin anew: what failed before says nothing about the next attempt.
  text: `with changed as (
      update webhook_endpoints set url = coalesce($10, url), events = coalesce($11::jsonb, events),
        state = case when $12 = 'paused' then 'paused' when $12 = 'on' or state = 'failing' and $10 is not null then 'on' else state end,
        paused_because = case when $12 = 'paused' then coalesce(paused_because, 'request') when $12 = 'on' then null else paused_because end,
        failing_since = case when $12 = 'on' or $10 is not null then null else failing_since end,
        not_before = case when $12 = 'on' or $10 is not null then null else not_before end
      where id = $9 and ${isReachable} returning ${columns}),
    ${audited('webhook.change', 'changed', 5)}
    select ${columns} from changed`,
}
const removeEndpoint = {
  name: 'webhook-remove',
  text: `with removed as (delete from webhook_endpoints where id = $9 and ${isReachable} returning id, url),
    ${audited('webhook.delete', 'removed', 5)}
    select id from removed`,
}
const rotateSecret = {
  name: 'webhook-rotate',
  // A statement that runs again after a lost answer changes nothing: the previous secret stays the one before the rotation.
  text: `with rotated as (
      update webhook_endpoints set old_secret = case secret when $10 then old_secret else secret end, old_until = $11, secret = $10
      where id = $9 and ${isReachable} returning ${columns}),
    ${audited('webhook.rotate', 'rotated', 5)}
    select ${columns} from rotated`,
}

interface Row {
  id: string
  tenant: string
  owner_id: string
  reach: Endpoint['reach']
  url: string
  events: string[]
  state: Endpoint['state']
  paused_because: Endpoint['pausedBecause']
  failing_since: Date | null
  old_until: Date | null
  created_at: Date
}

/**
 * Creates an endpoint of the actor. @returns it and its secret, which is never shown again
 * @throws UploadError QUOTA_EXCEEDED when the actor has `most` already
 */
export async function createEndpoint(
  database: Database,
  actor: Actor,
  { url, events, reach }: CreateEndpoint,
  { now, most }: { now: Date; most: number },
): Promise<{ endpoint: Endpoint; secret: string }> {
  const secret = newSecret()
  const id = randomUUID()
  const values = [
    actor.id,
    actor.tenant ?? '',
    ...auditOf(actor),
    id,
    reach,
    url,
    JSON.stringify(events),
    secret,
    now,
    most,
  ]
  // Another creation may take the same slot at the same time; then the next one is free.
  for (let tries = 0; tries <= most; tries += 1) {
    const [row] = await database.query<Row>(insertEndpoint, values)
    if (row) return { endpoint: toEndpoint(row), secret }
    const kept = await findOwn(database, actor, id, now)
    if (kept) return { endpoint: kept, secret }
    const [{ count } = { count: 0 }] = await database.query<{ count: number }>(countEndpoints, [
      actor.id,
      actor.tenant ?? '',
    ])
    if (count >= most) break
  }
  throw errors.tooManyWebhooks({ most })
}

/** The endpoint `id` and the secrets that sign its messages now. @throws UploadError NOT_FOUND, also for one of another owner */
export async function findOwnEndpoint(
  database: Database,
  actor: Actor,
  id: string,
  now: Date,
): Promise<{ endpoint: Endpoint; secrets: string[] }> {
  const values = [...reachOf(actor), id, now]
  const [row] = await database.query<Row & { secret: string; old_secret: string | null }>(findEndpoint, values)
  if (!row) throw errors.webhookNotFound()
  const secrets = row.old_secret === null ? [row.secret] : [row.secret, row.old_secret]
  return { endpoint: toEndpoint(row), secrets }
}

/** The endpoints of the actor, or all that the actor administers; newest first, at most 1,000. */
export async function listOwnEndpoints(database: Database, actor: Actor, isForAll: boolean): Promise<Endpoint[]> {
  return (await database.query<Row>(isForAll ? listAll : listOwn, reachOf(actor))).map(toEndpoint)
}

/** Changes the endpoint `id`. @throws UploadError NOT_FOUND */
export async function changeOwnEndpoint(
  database: Database,
  actor: Actor,
  id: string,
  { url, events, state }: ChangeEndpoint,
): Promise<Endpoint> {
  const change = [url ?? null, events === undefined ? null : JSON.stringify(events), state ?? null]
  const [row] = await database.query<Row>(changeEndpoint, [...reachOf(actor), ...auditOf(actor), id, ...change])
  if (!row) throw errors.webhookNotFound()
  return toEndpoint(row)
}

/** Removes the endpoint `id` with its deliveries. @throws UploadError NOT_FOUND */
export async function removeOwnEndpoint(database: Database, actor: Actor, id: string): Promise<void> {
  const [row] = await database.query(removeEndpoint, [...reachOf(actor), ...auditOf(actor), id])
  if (!row) throw errors.webhookNotFound()
}

/** Gives the endpoint a new secret; the previous one signs as well for a day. @throws UploadError NOT_FOUND */
export async function rotateOwnSecret(
  database: Database,
  actor: Actor,
  id: string,
  now: Date,
): Promise<{ endpoint: Endpoint; secret: string }> {
  const secret = newSecret()
  const until = new Date(now.getTime() + rotationMs)
  const [row] = await database.query<Row>(rotateSecret, [...reachOf(actor), ...auditOf(actor), id, secret, until])
  if (!row) throw errors.webhookNotFound()
  return { endpoint: toEndpoint(row), secret }
}

async function findOwn(database: Database, actor: Actor, id: string, now: Date): Promise<Endpoint | null> {
  const [row] = await database.query<Row>(findEndpoint, [...reachOf(actor), id, now])
  return row ? toEndpoint(row) : null
}

/** Whose endpoints the actor reaches: their own, and as an administrator those of a tenant, or of all (`null`). */
function reachOf({ id, tenant, isAdmin }: Actor): (string | boolean | null)[] {
  return [id, tenant ?? '', isAdmin, tenant]
}

/** What the audit log records of the actor, beside id and tenant. */
function auditOf({ role, keyId, client }: Actor): (string | null)[] {
  return [role, keyId ?? null, client?.address ?? null, client?.agent ?? null]
}

function toEndpoint(row: Row): Endpoint {
  return {
    id: row.id,
    tenant: row.tenant === '' ? null : row.tenant,
    ownerId: row.owner_id,
    reach: row.reach,
    url: row.url,
    events: row.events,
    state: row.state,
    pausedBecause: row.paused_because,
    failingSince: row.failing_since,
    oldUntil: row.old_until,
    createdAt: row.created_at,
  }
}
