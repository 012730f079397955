/*
 * The metrics of a server of several workers. Each worker counts for itself, and the one that answers a scrape adds up the snapshots of all.
 */
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client'
import type { Metrics } from './metrics.ts'

/** The values of all metrics of one worker, which another process can read. */
export type Snapshot = MetricObjectWithValues<MetricValue<string>>[]

/** The other workers of a server. */
export interface Peers {
  /** The snapshots of the others now, and the counters of those that have ended; `own` is that of this worker. */
  collect(own: Snapshot): Promise<Snapshot[]>
  /** Registers how this worker makes its snapshot. */
  offer(take: () => Promise<Snapshot>): void
}

/** The values of this worker. */
export function snapshotOf({ registry }: Pick<Metrics, 'registry'>): Promise<Snapshot> {
  return registry.getMetricsAsJSON()
}

/**
 * The text of `own` and `others` together: counters and histograms are sums, gauges what their `aggregator` says. A metric whose aggregator
 * is `first` describes more than a worker, such as the uploads in the database, and comes from `own`.
 */
export function textOfAll(own: Snapshot, others: Snapshot[]): Promise<string> {
  const ofWorkers = others.map((snapshot) => snapshot.filter((metric) => aggregatorOf(metric) !== 'first'))
  return AggregatorRegistry.aggregate([own, ...ofWorkers]).metrics()
}

/** The counters and histograms of both, added up: what a worker that has ended leaves, so that a sum over all never goes back. */
export function addCounters(one: Snapshot, other: Snapshot): Promise<Snapshot> {
  return AggregatorRegistry.aggregate([one, other].map((snapshot) => snapshot.filter(isCounted))).getMetricsAsJSON()
}

// prom-client's snapshots name their types in words, unlike its declarations.
function isCounted({ type }: Snapshot[number]): boolean {
  return ['counter', 'histogram'].includes(String(type))
}

function aggregatorOf(metric: Snapshot[number]): string {
  return (metric as { aggregator?: string }).aggregator ?? 'sum'
}
