import type * as contract from '../../contract/admin-uploads.ts'
import type { Database } from '../../db/open.ts'

/** An audit entry or an event of an upload, as the rows say. */
export interface TimelineEntry extends Omit<contract.TimelineEntry, 'at' | 'deliveredAt'> {
  at: Date
  deliveredAt: Date | null
}

const find = {
  name: 'admin-timeline',
  text: `select at, source, what, is_allowed as allowed, actor, role, key_id as "key", address, agent, code, rule, note, times,
      delivered_at as "deliveredAt" from (
      (select at, 'audit' as source, action as what, is_allowed, actor, role, key_id, address, agent, code, rule, note, times,
          null::timestamptz as delivered_at, id from audit_log where upload_id = $1 and ($3::text is null or tenant = $3) order by id desc limit $2)
      union all
      (select created_at, 'event', type, true, null, null, null, null, null, null, null, data->>'failure', 1, delivered_at, id
          from upload_events where upload_id = $1 order by seq desc limit $2)) all_of_it
    order by at, source, id`,
}
// An upload has a handful of entries; a client that keeps requesting an upload of another user adds one every few seconds.
const maxOfEach = 500

/** The audit entries (only those of users of `tenant`, if given) and outbox events of the upload `id`, in order. */
export function findTimeline(database: Database, id: string, tenant?: string): Promise<TimelineEntry[]> {
  return database.query<TimelineEntry>(find, [id, maxOfEach, tenant ?? null])
}
