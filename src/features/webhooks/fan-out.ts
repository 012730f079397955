import type { Database } from '../../db/open.ts'
import type { DeliveredEvent } from '../../jobs/outbox.ts'

/** The endpoints `e` that receive events of an owner, a tenant and a type: those of the owner, and those that reach all uploads. */
export const receives = (tenant: string, owner: string, type: string) =>
  `(e.reach = 'own' and e.tenant = ${tenant} and e.owner_id = ${owner} or e.reach = 'all' and e.tenant in ('', ${tenant}))
    and (e.events = '[]' or e.events ? ${type})`

const insertDeliveries = {
  name: 'webhook-fan-out',
  text: `insert into webhook_deliveries (endpoint_id, event_id, upload_id, seq, next_at, created_at)
    select e.id, event.id, event.upload_id, event.seq, $1, $1
    from unnest($2::bigint[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[]) as event (id, upload_id, seq, tenant, owner_id, type)
    join webhook_endpoints e on ${receives('event.tenant', 'event.owner_id', 'event.type')}
    on conflict (endpoint_id, event_id) do nothing returning endpoint_id`,
}

/**
 * Writes a delivery of each event for every endpoint that receives it. The same event again changes nothing. A paused endpoint gets
 * deliveries too: they wait until it is on again. @returns how many were new
 */
export async function fanOut(database: Database, events: DeliveredEvent[], now: Date): Promise<number> {
  const column = <T>(of: (event: DeliveredEvent) => T) => events.map(of)
  const values = [
    now,
    column(({ id }) => id),
    column(({ uploadId }) => uploadId),
    column(({ seq }) => seq),
    column(({ data }) => data['tenant'] ?? ''),
    column(({ data }) => data['ownerId']),
    column(({ type }) => type),
  ]
  return (await database.query(insertDeliveries, values)).length
}
