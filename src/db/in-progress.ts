import type { UploadState } from '../core/upload.ts'
import type { Database } from './open.ts'

/** Uploads and events in progress on all servers, and how long the oldest of them wait. */
export interface InProgress {
  /** `live`: the uploads with a valid lease. */
  open: { state: Extract<UploadState, 'receiving' | 'finishing'>; role: string; count: number; live: number }[]
  finishingOldestSeconds: number | null
  eventsToDeliver: number
  eventsOldestSeconds: number | null
}

/**
 * The columns that `toInProgress` reads, for any statement; each is answered from a partial index of open rows.
 * @param tenant an SQL expression: only rows of this tenant are counted, unless it is null
 */
export function inProgressColumns(tenant = 'null::text'): string {
  const ofTenant = (column: string) => `(${tenant} is null or ${column} = ${tenant})`
  const uploads = ofTenant('tenant')
  const events = ofTenant("coalesce(data->>'tenant', '')")
  return `
      (select coalesce(json_agg(each), '[]') from (
        select state, role, count(*)::int as count, (count(*) filter (where lease_until > now()))::int as live
        from upload_sessions where state in ('receiving', 'finishing') and ${uploads} group by state, role order by state, role) each) as open,
      (select extract(epoch from now() - min(updated_at))::float8 from upload_sessions where state = 'finishing' and ${uploads}) as finishing_age,
      (select count(*)::int from upload_events where delivered_at is null and ${events}) as events,
      (select extract(epoch from now() - min(created_at))::float8 from upload_events where delivered_at is null and ${events}) as event_age`
}

export interface InProgressRow {
  open: InProgress['open']
  finishing_age: number | null
  events: number
  event_age: number | null
}

/** Converts the row of a statement with `inProgressColumns()`. */
export function toInProgress({ open, finishing_age, events, event_age }: InProgressRow): InProgress {
  return { open, finishingOldestSeconds: finishing_age, eventsToDeliver: events, eventsOldestSeconds: event_age }
}

const find = { name: 'in-progress-find', text: `select ${inProgressColumns()}` }

/** What is in progress now. @throws UploadError DATABASE_ERROR */
export async function findInProgress(database: Pick<Database, 'query'>): Promise<InProgress> {
  const [row] = await database.query<InProgressRow>(find, [])
  return toInProgress(row!)
}
