import type { Database } from '../../db/open.ts'

/** Something that happened to an upload. */
export interface TimelineEntry {
  at: Date
  /** `record`: who did it, from where, or was refused it. `event`: what listeners are told of it. */
  source: 'record' | 'event'
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
  /** When the event had been told to everybody; `null`: not yet, or no event. */
  deliveredAt: Date | null
}

const find = {
  name: 'admin-timeline',
  text: `select * from (
      (select at, 'record' as source, action as what, is_allowed, actor, role, key_id, address, agent, code, rule, note, times,
          null::timestamptz as delivered_at, id from audit_log where upload_id = $1 and ($3::text is null or tenant = $3) order by id desc limit $2)
      union all
      (select created_at, 'event', type, true, null, null, null, null, null, null, null, data->>'failure', 1, delivered_at, id
          from upload_events where upload_id = $1 order by seq desc limit $2)) all_of_it
    order by at, source desc, id`,
}
// An upload has a handful; somebody who keeps asking for what is not theirs adds a line every few seconds.
const mostOfEach = 500

interface Row extends Omit<TimelineEntry, 'isAllowed' | 'keyId' | 'deliveredAt'> {
  is_allowed: boolean
  key_id: string | null
  delivered_at: Date | null
}

/** What happened to the upload `id`, from the audit log (only what users of `tenant` did, if that is given) and the outbox, in order. */
export async function findTimeline(database: Database, id: string, tenant?: string): Promise<TimelineEntry[]> {
  const rows = await database.query<Row>(find, [id, mostOfEach, tenant ?? null])
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
