import type { Database } from '../../db/open.ts'

/** An audit entry or an event of an upload. */
export interface TimelineEntry {
  at: Date
  /** `audit`: an entry of the audit log, with actor and address. `event`: an event of the outbox. */
  source: 'audit' | 'event'
  what: string
  isAllowed: boolean
  actor: string | null
  role: string | null
  keyId: string | null
  address: string | null
  agent: string | null
  code: string | null
  rule: string | null
  note: string | null
  times: number
  /** When the event was delivered to all listeners; `null`: not yet, or not an event. */
  deliveredAt: Date | null
}

const find = {
  name: 'admin-timeline',
  text: `select * from (
      (select at, 'audit' as source, action as what, is_allowed, actor, role, key_id, address, agent, code, rule, note, times,
          null::timestamptz as delivered_at, id from audit_log where upload_id = $1 and ($3::text is null or tenant = $3) order by id desc limit $2)
      union all
      (select created_at, 'event', type, true, null, null, null, null, null, null, null, data->>'failure', 1, delivered_at, id
          from upload_events where upload_id = $1 order by seq desc limit $2)) all_of_it
    order by at, source, id`,
}
// An upload has a handful of entries; a client that keeps requesting an upload of another user adds one every few seconds.
const maxOfEach = 500

interface Row extends Omit<TimelineEntry, 'isAllowed' | 'keyId' | 'deliveredAt'> {
  is_allowed: boolean
  key_id: string | null
  delivered_at: Date | null
}

/** The audit entries (only those of users of `tenant`, if given) and outbox events of the upload `id`, in order. */
export async function findTimeline(database: Database, id: string, tenant?: string): Promise<TimelineEntry[]> {
  const rows = await database.query<Row>(find, [id, maxOfEach, tenant ?? null])
  return rows.map(({ at, source, what, actor, role, address, agent, code, rule, note, times, ...row }) => ({
    at,
    source,
    what,
    isAllowed: row.is_allowed,
    actor,
    role,
    keyId: row.key_id,
    address,
    agent,
    code,
    rule,
    note,
    times,
    deliveredAt: row.delivered_at,
  }))
}
