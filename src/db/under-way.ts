import type { State } from '../core/upload.ts'
import type { Database } from './open.ts'

/** What is under way over all servers, and how long some of it waits. */
export interface UnderWay {
  /** `live`: those that somebody is writing to. */
  open: { state: Extract<State, 'receiving' | 'finishing'>; role: string; count: number; live: number }[]
  finishingOldestSeconds: number | null
  eventsToTell: number
  eventsOldestSeconds: number | null
}

/**
 * What `toUnderWay` reads, as columns of any statement; each of them has an index of open things only. `tenant` is an expression: what
 * belongs to another one is left out, unless it is null.
 */
export function underWayColumns(tenant = 'null::text'): string {
  const ofTenant = (column: string) => `(${tenant} is null or ${column} = ${tenant})`
  const sessions = ofTenant('tenant')
  const events = ofTenant("coalesce(data->>'tenant', '')")
  return `
      (select coalesce(json_agg(each), '[]') from (
        select state, role, count(*)::int as count, (count(*) filter (where lease_until > now()))::int as live
        from upload_sessions where state in ('receiving', 'finishing') and ${sessions} group by state, role order by state, role) each) as open,
      (select extract(epoch from now() - min(updated_at))::float8 from upload_sessions where state = 'finishing' and ${sessions}) as finishing_age,
      (select count(*)::int from upload_events where delivered_at is null and ${events}) as events,
      (select extract(epoch from now() - min(created_at))::float8 from upload_events where delivered_at is null and ${events}) as event_age`
}

export interface UnderWayRow {
  open: UnderWay['open']
  finishing_age: number | null
  events: number
  event_age: number | null
}

/** The row of a statement with `underWayColumns()`. */
export function toUnderWay({ open, finishing_age, events, event_age }: UnderWayRow): UnderWay {
  return { open, finishingOldestSeconds: finishing_age, eventsToTell: events, eventsOldestSeconds: event_age }
}

const find = { name: 'telemetry-count', text: `select ${underWayColumns()}` }

/** What is under way now. Throws `UploadError DATABASE_ERROR`. */
export async function findUnderWay(database: Pick<Database, 'query'>): Promise<UnderWay> {
  const [row] = await database.query<UnderWayRow>(find, [])
  return toUnderWay(row!)
}
