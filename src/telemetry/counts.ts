import type { Metrics } from './metrics.ts'

interface Counts {
  open: { state: string; role: string; count: number }[] | null
  finishing_age: number | null
  events: number
  event_age: number | null
}

/** One statement over what is still open; each part of it has an index of open things only. */
const countOpen = {
  name: 'telemetry-count',
  text: `select
      (select json_agg(each) from (
        select state, role, count(*)::int as count from upload_sessions
        where state in ('receiving', 'finishing') group by state, role) each) as open,
      (select extract(epoch from now() - min(updated_at))::float8 from upload_sessions where state = 'finishing') as finishing_age,
      (select count(*)::int from upload_events where delivered_at is null) as events,
      (select extract(epoch from now() - min(created_at))::float8 from upload_events where delivered_at is null) as event_age`,
}

interface Questions {
  query<T>(statement: { name: string; text: string }, values: unknown[]): Promise<T[]>
}

/**
 * Figures over all servers, from the database, for whoever asks: at most once in `everyMs`, and none while nobody does. A
 * database that does not answer leaves them as they were.
 */
export function openCounts(database: Questions, metrics: Metrics, everyMs = 10_000): () => Promise<void> {
  let freshUntil = 0
  let counting: Promise<void> | null = null

  async function count(): Promise<void> {
    const [row] = await database.query<Counts>(countOpen, [])
    metrics.open.reset()
    for (const { state, role, count: value } of row!.open ?? []) metrics.open.set({ state, role }, value)
    metrics.finishingOldest.set(Math.max(0, row!.finishing_age ?? 0))
    metrics.outboxEvents.set(row!.events)
    metrics.outboxOldest.set(Math.max(0, row!.event_age ?? 0))
  }

  return async () => {
    if (performance.now() < freshUntil) return
    freshUntil = performance.now() + everyMs
    counting ??= count()
      .catch(() => metrics.countFailures.inc())
      .finally(() => {
        counting = null
      })
    await counting
  }
}
