import type { Database } from '../../db/open.ts'

/** How much is under way and how much is kept, over all servers. */
export interface Summary {
  open: { state: 'receiving' | 'finishing'; role: string; count: number; live: number }[]
  finishingOldestSeconds: number | null
  eventsToTell: number
  eventsOldestSeconds: number | null
  reservedBytes: number
  storedBytes: number
  storedFiles: number
  users: number
}

const sum = {
  name: 'admin-summary',
  text: `select
      (select coalesce(json_agg(each), '[]') from (
        select state, role, count(*)::int as count, (count(*) filter (where lease_until > now()))::int as live
        from upload_sessions where state in ('receiving', 'finishing') group by state, role order by state, role) each) as open,
      (select extract(epoch from now() - min(updated_at))::float8 from upload_sessions where state = 'finishing') as finishing_age,
      (select count(*)::int from upload_events where delivered_at is null) as events,
      (select extract(epoch from now() - min(created_at))::float8 from upload_events where delivered_at is null) as event_age,
      coalesce(sum(reserved_bytes), 0)::bigint as reserved_bytes, coalesce(sum(stored_bytes), 0)::bigint as stored_bytes,
      coalesce(sum(stored_files), 0)::int as stored_files, count(*)::int as users
    from upload_usage`,
}

interface Row {
  open: Summary['open']
  finishing_age: number | null
  events: number
  event_age: number | null
  reserved_bytes: number
  stored_bytes: number
  stored_files: number
  users: number
}

/** Sums up what there is, in one statement. */
export async function sumUp(database: Database): Promise<Summary> {
  const [row] = await database.query<Row>(sum, [])
  return {
    open: row!.open,
    finishingOldestSeconds: row!.finishing_age,
    eventsToTell: row!.events,
    eventsOldestSeconds: row!.event_age,
    reservedBytes: row!.reserved_bytes,
    storedBytes: row!.stored_bytes,
    storedFiles: row!.stored_files,
    users: row!.users,
  }
}
