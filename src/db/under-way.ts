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

/** What `toUnderWay` reads, as columns of any statement; each of them has an index of open things only. */
export const underWayColumns = `
      (select coalesce(json_agg(each), '[]') from (
        select state, role, count(*)::int as count, (count(*) filter (where lease_until > now()))::int as live
        from upload_sessions where state in ('receiving', 'finishing') group by state, role order by state, role) each) as open,
      (select extract(epoch from now() - min(updated_at))::float8 from upload_sessions where state = 'finishing') as finishing_age,
      (select count(*)::int from upload_events where delivered_at is null) as events,
      (select extract(epoch from now() - min(created_at))::float8 from upload_events where delivered_at is null) as event_age`

export interface UnderWayRow {
  open: UnderWay['open']
  finishing_age: number | null
  events: number
  event_age: number | null
}

/** The row of a statement with `underWayColumns`. */
export function toUnderWay({ open, finishing_age, events, event_age }: UnderWayRow): UnderWay {
  return { open, finishingOldestSeconds: finishing_age, eventsToTell: events, eventsOldestSeconds: event_age }
}

const find = { name: 'telemetry-count', text: `select ${underWayColumns}` }

/** What is under way now. Throws `UploadError DATABASE_ERROR`. */
export async function findUnderWay(database: Pick<Database, 'query'>): Promise<UnderWay> {
  const [row] = await database.query<UnderWayRow>(find, [])
  return toUnderWay(row!)
}
