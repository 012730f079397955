import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

// Storing a part takes milliseconds on a local disk and seconds in a distant bucket; a request body may take an hour.
const callSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120]
const querySeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 20]
const requestSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600]

/**
 * All metrics of this process, in a registry of its own, with Node's default metrics. The values of labels are few and known to the
 * code: no id, name or path of a client becomes one. No metric is updated for every chunk of a body.
 */
export function createMetrics(version: string) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  // Without it the start of a server of several workers would be missing.
  ;(registry.getSingleMetric('process_start_time_seconds') as { aggregator?: string }).aggregator = 'min'
  new Gauge({
    name: 'landfall_info',
    help: 'The running version',
    labelNames: ['version'],
    aggregator: 'first',
    registers,
  }).set({ version }, 1)

  return {
    registry,

    created: new Counter({
      name: 'landfall_uploads_created_total',
      help: 'Uploads created',
      labelNames: ['role'],
      registers,
    }),
    ended: new Counter({
      name: 'landfall_uploads_ended_total',
      help: 'Uploads that ended, by their final state',
      labelNames: ['state', 'role'],
      registers,
    }),
    open: new Gauge({
      name: 'landfall_uploads',
      help: 'Uploads that have not ended, on all servers',
      labelNames: ['state', 'role'],
      aggregator: 'first',
      registers,
    }),
    finishingOldest: new Gauge({
      name: 'landfall_finishing_oldest_seconds',
      help: 'How long the oldest upload in state finishing has waited for its completion, on all servers',
      aggregator: 'first',
      registers,
    }),
    outboxEvents: new Gauge({
      name: 'landfall_outbox_events',
      help: 'Events that are not delivered yet, on all servers',
      aggregator: 'first',
      registers,
    }),
    outboxOldest: new Gauge({
      name: 'landfall_outbox_oldest_seconds',
      help: 'How long the oldest event that is not delivered yet has waited, on all servers',
      aggregator: 'first',
      registers,
    }),
    countFailures: new Counter({
      name: 'landfall_count_failures_total',
      help: 'Failed queries for the metrics of all servers',
      registers,
    }),

    received: new Counter({
      name: 'landfall_received_bytes_total',
      help: 'Bytes of files received',
      registers,
    }),
    bodies: new Counter({
      name: 'landfall_bodies_total',
      help: 'Request bodies, by how they ended: complete, aborted, too-long, timeout, cancelled',
      labelNames: ['end'],
      registers,
    }),
    stored: new Counter({
      name: 'landfall_stored_bytes_total',
      help: 'Bytes stored: as parts, as whole objects, as tail objects that wait to become a part',
      labelNames: ['as'],
      registers,
    }),

    requestSeconds: new Histogram({
      name: 'landfall_request_seconds',
      help: 'Duration of requests, from their first byte to the last byte of the response',
      labelNames: ['method', 'route', 'status'],
      buckets: requestSeconds,
      registers,
    }),
    errors: new Counter({
      name: 'landfall_errors_total',
      help: 'Requests answered with an error, by code and, where it has one, by the rule that was broken',
      labelNames: ['code', 'rule'],
      registers,
    }),
    backgroundErrors: new Counter({
      name: 'landfall_background_errors_total',
      help: 'Errors outside of requests',
      registers,
    }),

    storeSeconds: new Histogram({
      name: 'landfall_store_call_seconds',
      help: 'Duration of calls to the store, retries included',
      labelNames: ['call'],
      buckets: callSeconds,
      registers,
    }),
    storeErrors: new Counter({
      name: 'landfall_store_errors_total',
      help: 'Calls to the store that failed after all retries',
      labelNames: ['call', 'code'],
      registers,
    }),
    s3Requests: new Counter({
      name: 'landfall_s3_requests_total',
      help: 'Requests to the S3 server, retries included, by the code of the response',
      labelNames: ['operation', 'code'],
      registers,
    }),

    querySeconds: new Histogram({
      name: 'landfall_database_call_seconds',
      help: 'Duration of database statements, retries included',
      buckets: querySeconds,
      registers,
    }),
    queries: new Counter({
      name: 'landfall_database_calls_total',
      help: 'Database statements, by name',
      labelNames: ['statement'],
      registers,
    }),
    queryErrors: new Counter({
      name: 'landfall_database_errors_total',
      help: 'Database statements that failed, by name',
      labelNames: ['statement'],
      registers,
    }),
    takeovers: new Counter({
      name: 'landfall_lease_takeovers_total',
      help: 'Leases that were taken over after they had expired, because their holder died',
      registers,
    }),
  }
}

/** Adds gauges whose values are read at each scrape, by metric name. */
export function watchGauges(
  { registry }: Metrics,
  values: Record<string, { help: string; value: () => number; isShared?: boolean }>,
): void {
  for (const [name, { help, value, isShared = false }] of Object.entries(values)) {
    new Gauge({
      name,
      help,
      registers: [registry],
      aggregator: isShared ? 'first' : 'sum',
      collect() {
        this.set(value())
      },
    })
  }
}

/** Counters of the parts, read at each scrape. Their values only grow. */
export function watchCounters(
  { registry }: Metrics,
  values: Record<string, { help: string; value: () => number }>,
): void {
  for (const [name, { help, value }] of Object.entries(values)) {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(value())
      },
    })
  }
}
