import type { WebhookDelivery } from '../../contract/webhooks.ts'
import type { Database } from '../../db/open.ts'
import { webhookIdOf } from './message.ts'

const find = (name: string, condition: string) => ({
  name: `webhook-deliveries${name}`,
  text: `select d.*, event.type from webhook_deliveries d join upload_events event on event.id = d.event_id
    where d.endpoint_id = $1 and d.event_id < $2 ${condition} order by d.event_id desc limit $3`,
})
const findAll = find('', '')
const findInState = find('-state', 'and d.state = $4')

const batch = 5000
// A paused endpoint keeps what waits for it as long as a delivery is kept; a replay can bring it back.
const forget = {
  name: 'webhook-forget',
  text: `delete from webhook_deliveries where id in (
      select id from webhook_deliveries where state = 'delivered' and delivered_at < $1
      union all select id from webhook_deliveries where state = 'dead' and next_at < $1
      union all select d.id from webhook_deliveries d join webhook_endpoints e on e.id = d.endpoint_id
        where e.state = 'paused' and d.state = 'waiting' and d.created_at < $1
      limit ${batch}) returning id`,
}

interface Row {
  id: number
  event_id: number
  upload_id: string
  seq: number
  type: WebhookDelivery['type']
  state: WebhookDelivery['state']
  attempts: number
  next_at: Date
  last_status: number | null
  last_ms: number | null
  last_error: string | null
  delivered_at: Date | null
  created_at: Date
}

/** A delivery as the API returns it, and the cursor after it. */
export type ListedDelivery = { view: WebhookDelivery; eventId: number }

/** A page of the deliveries of an endpoint, the newest event first. */
export async function listDeliveries(
  database: Database,
  endpointId: string,
  { state, before, limit }: { state?: string | undefined; before?: number | undefined; limit: number },
): Promise<ListedDelivery[]> {
  const values = [endpointId, before ?? Number.MAX_SAFE_INTEGER, limit]
  const rows = await database.query<Row>(
    state === undefined ? findAll : findInState,
    state === undefined ? values : [...values, state],
  )
  return rows.map((row) => ({ view: viewOf(row), eventId: row.event_id }))
}

/** Removes deliveries that were delivered, died, or have waited for a paused endpoint, `retentionMs` ago. 0: never. */
export async function forgetDeliveries(database: Database, now: Date, retentionMs: number): Promise<void> {
  if (retentionMs === 0) return
  const before = new Date(now.getTime() - retentionMs)
  while ((await database.query(forget, [before])).length === batch);
}

function viewOf(row: Row): WebhookDelivery {
  return {
    id: row.id,
    webhookId: webhookIdOf(row.event_id),
    type: row.type,
    uploadId: row.upload_id,
    seq: row.seq,
    state: row.state,
    attempts: row.attempts,
    nextAt: row.state === 'waiting' ? row.next_at.toISOString() : null,
    deliveredAt: row.state === 'delivered' ? (row.delivered_at?.toISOString() ?? null) : null,
    lastStatus: row.last_status,
    lastMs: row.last_ms,
    lastError: row.last_error,
    createdAt: row.created_at.toISOString(),
  }
}
