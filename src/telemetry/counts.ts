import type { Metrics } from './metrics.ts'

/** Uploads and events in progress on all servers. */
interface InProgress {
  open: { state: string; role: string; count: number }[]
  finishingOldestSeconds: number | null
  eventsToDeliver: number
  eventsOldestSeconds: number | null
}

/**
 * Returns a function that updates the gauges over all servers. A scrape calls it; it calls `find` at most once in `everyMs`. When
 * `find` fails, the gauges keep their values.
 */
export function openCounts(find: () => Promise<InProgress>, metrics: Metrics, everyMs = 10_000): () => Promise<void> {
  let freshUntil = 0
  let counting: Promise<void> | null = null

  async function count(): Promise<void> {
    const { open, finishingOldestSeconds, eventsToDeliver, eventsOldestSeconds } = await find()
    metrics.open.reset()
    for (const { state, role, count: value } of open) metrics.open.set({ state, role }, value)
    metrics.finishingOldest.set(Math.max(0, finishingOldestSeconds ?? 0))
    metrics.outboxEvents.set(eventsToDeliver)
    metrics.outboxOldest.set(Math.max(0, eventsOldestSeconds ?? 0))
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
