import type { Metrics } from './metrics.ts'

interface Counted {
  get(): Promise<{ values: { value: number; labels: Partial<Record<string, string | number>>; metricName?: string }[] }>
}

/** The counters of this process since its start: bytes, requests by status class, uploads by final state. */
export async function totalsOf(metrics: Metrics) {
  const ended = (state: string) => sumOf(metrics.ended, ({ labels }) => labels['state'] === state)
  const answered = (digit: string) =>
    sumOf(
      metrics.requestSeconds,
      ({ labels, metricName }) => metricName?.endsWith('_count') === true && String(labels['status']).startsWith(digit),
    )
  return {
    receivedBytes: await sumOf(metrics.received),
    storedBytes: await sumOf(metrics.stored),
    requests: await answered(''),
    clientErrors: await answered('4'),
    serverErrors: await answered('5'),
    storeErrors: await sumOf(metrics.storeErrors),
    created: await sumOf(metrics.created),
    completed: await ended('completed'),
    cancelled: await ended('cancelled'),
    expired: await ended('expired'),
    failed: await ended('failed'),
  }
}

async function sumOf(
  metric: Counted,
  counts: (value: Awaited<ReturnType<Counted['get']>>['values'][number]) => boolean = () => true,
): Promise<number> {
  const { values } = await metric.get()
  return values.filter(counts).reduce((sum, { value }) => sum + value, 0)
}
