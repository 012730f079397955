import { Counter, Gauge, Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { WorkerMetrics } from '../../../src/server/workers/worker-metrics.ts'
import { addCounters, type Snapshot, snapshotOf } from '../../../src/telemetry/snapshots.ts'

it('asks every other worker, and answers when all have', async () => {
  const { workerMetrics, asked } = open()

  const collected = workerMetrics.collect(1, await counted(1), [2, 3])
  for (const { number, id } of asked) workerMetrics.answered(number, id, await counted(number))

  expect(asked.map(({ number }) => number)).toEqual([2, 3])
  expect(sumOf(await collected)).toBe(5)
})

it('does not wait for a worker that ends meanwhile', async () => {
  const { workerMetrics } = open()

  const collected = workerMetrics.collect(1, await counted(1), [2])
  workerMetrics.ended(2)

  expect(sumOf(await collected)).toBe(0)
})

it('keeps the counters of workers that have ended, and not their gauges', async () => {
  const { workerMetrics, asked } = open()
  const before = workerMetrics.collect(1, await counted(1), [2])
  workerMetrics.answered(2, asked[0]!.id, await counted(40))
  await before
  workerMetrics.ended(2)
  const again = workerMetrics.collect(1, await counted(1), [2])
  workerMetrics.answered(2, asked[1]!.id, await counted(2))
  await again
  workerMetrics.ended(2)

  const after = await workerMetrics.collect(1, await counted(1), [])

  expect(sumOf(after)).toBe(42)
  expect(sumOf(after, 'held')).toBe(0)
})

function open() {
  const asked: { number: number; id: number }[] = []
  return { asked, workerMetrics: new WorkerMetrics((number, id) => asked.push({ number, id }), addCounters, 600_000) }
}

/** The snapshot of a worker that has counted `value` events and holds as many things. */
function counted(value: number): Promise<Snapshot> {
  const registry = new Registry()
  new Counter({ name: 'events', help: 'Events', registers: [registry] }).inc(value)
  new Gauge({ name: 'held', help: 'Held', registers: [registry] }).set(value)
  return snapshotOf({ registry })
}

function sumOf(snapshots: Snapshot[], name = 'events'): number {
  const values = snapshots
    .flat()
    .filter((metric) => metric.name === name)
    .flatMap((metric) => metric.values)
  return values.reduce((sum, { value }) => sum + value, 0)
}
