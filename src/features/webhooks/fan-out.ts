import type { Database } from '../../db/open.ts'
import type { DeliveredEvent } from '../../jobs/outbox.ts'

/** The endpoints `e` that receive events of an owner, a tenant and a type: those of the owner, and those that reach all uploads. */
export const receives = (tenant: string, owner: string, type: string) =>
  `(e.reach = 'own' and e.tenant = ${tenant} and e.owner_id = ${owner} or e.reach = 'all' and e.tenant in ('', ${tenant}))
    and (e.events = '[]' or e.events ? ${type})`

const insertDeliveries = {
  name: 'webhook-fan-out',
  text: `insert into webhook_deliveries (endpoint_id, event_id, upload_id, seq, next_at, created_at)
    select e.id, $1, $2, $3, $4, $4 from webhook_endpoints e where ${receives('$5', '$6', '$7::text')}
    on conflict (endpoint_id, event_id) do nothing returning endpoint_id`,
}

/**
 * Writes a delivery of `event` for every endpoint that receives it. The same event again changes nothing. A paused endpoint gets
 * deliveries too: they wait until it is on again. @returns how many were new
 */
export async function fanOut(database: Database, event: DeliveredEvent, now: Date): Promise<number> {
  const { id, uploadId, seq, type, data } = event
  const values = [id, uploadId, seq, now, data['tenant'] ?? '', data['ownerId'], type]
  return (await database.query(insertDeliveries, values)).length
}
