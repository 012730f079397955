import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

// A part takes milliseconds on a disk and seconds to a bucket far away; a body may take an hour.
const callSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120]
const querySeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 20]
const requestSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600]

/**
 * Everything that is counted here, in a registry of its own, with what Node says of the process. Labels have few values that
 * the code knows: no id, no name and no path of anybody's becomes one. Nothing is counted for every chunk that flows.
 */
export function createMetrics(version: string) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  new Gauge({ name: 'landfall_info', help: 'The version that runs', labelNames: ['version'], registers }).set(
    { version },
    1,
  )

  return {
    registry,

    created: new Counter({
      name: 'landfall_uploads_created_total',
      help: 'Uploads begun',
      labelNames: ['role'],
      registers,
    }),
    ended: new Counter({
      name: 'landfall_uploads_ended_total',
      help: 'Uploads that came to an end, and to which',
      labelNames: ['state', 'role'],
      registers,
    }),
    open: new Gauge({
      name: 'landfall_uploads',
      help: 'Uploads that have not ended, over all servers',
      labelNames: ['state', 'role'],
      registers,
    }),
    finishingOldest: new Gauge({
      name: 'landfall_finishing_oldest_seconds',
      help: 'How long the upload that waits longest to be put together has waited, over all servers',
      registers,
    }),
    outboxEvents: new Gauge({
      name: 'landfall_outbox_events',
      help: 'Events that are still to be told, over all servers',
      registers,
    }),
    outboxOldest: new Gauge({
      name: 'landfall_outbox_oldest_seconds',
      help: 'How long the oldest event that is still to be told has waited, over all servers',
      registers,
    }),
    countFailures: new Counter({
      name: 'landfall_count_failures_total',
      help: 'Times that the database could not be asked for the figures over all servers',
      registers,
    }),

    received: new Counter({
      name: 'landfall_received_bytes_total',
      help: 'Bytes of files that came in',
      registers,
    }),
    bodies: new Counter({
      name: 'landfall_bodies_total',
      help: 'Bodies that were read, and how they ended: clean, early, overflow, idle, stopped',
      labelNames: ['end'],
      registers,
    }),
    stored: new Counter({
      name: 'landfall_stored_bytes_total',
      help: 'Bytes that the store took: as parts of an object, as whole objects, as pieces that wait to fill a part',
      labelNames: ['as'],
      registers,
    }),

    requestSeconds: new Histogram({
      name: 'landfall_request_seconds',
      help: 'Requests from their first byte to the last of their answer',
      labelNames: ['method', 'route', 'status'],
      buckets: requestSeconds,
      registers,
    }),
    refusals: new Counter({
      name: 'landfall_refusals_total',
      help: 'Requests that were refused, by code, and by the rule that refused where one says so',
      labelNames: ['code', 'rule'],
      registers,
    }),
    faults: new Counter({
      name: 'landfall_background_faults_total',
      help: 'What went wrong where nobody waited for an answer',
      registers,
    }),

    storeSeconds: new Histogram({
      name: 'landfall_store_call_seconds',
      help: 'Calls to the store, tries again included',
      labelNames: ['call'],
      buckets: callSeconds,
      registers,
    }),
    storeErrors: new Counter({
      name: 'landfall_store_errors_total',
      help: 'Calls to the store that failed for good',
      labelNames: ['call', 'code'],
      registers,
    }),
    s3Requests: new Counter({
      name: 'landfall_s3_requests_total',
      help: 'Requests to the S3 server, each try counted, by what was answered',
      labelNames: ['operation', 'code'],
      registers,
    }),

    querySeconds: new Histogram({
      name: 'landfall_database_call_seconds',
      help: 'Statements sent to the database, tries again included',
      buckets: querySeconds,
      registers,
    }),
    queries: new Counter({
      name: 'landfall_database_calls_total',
      help: 'Statements sent to the database',
      labelNames: ['statement'],
      registers,
    }),
    queryErrors: new Counter({
      name: 'landfall_database_errors_total',
      help: 'Statements that failed',
      labelNames: ['statement'],
      registers,
    }),
    steals: new Counter({
      name: 'landfall_lease_steals_total',
      help: 'Uploads that were taken over because their holder had died',
      registers,
    }),
  }
}

/** Gauges that are looked at when somebody asks. `values` gives each by its full name. */
export function watchGauges(
  { registry }: Metrics,
  values: Record<string, { help: string; value: () => number }>,
): void {
  for (const [name, { help, value }] of Object.entries(values)) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value())
      },
    })
  }
}
