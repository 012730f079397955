import { within } from '../core/within.ts'
import { toDatabaseError } from '../db/errors.ts'
import type { Database } from '../db/open.ts'

/** Periodic work of a feature. A run that fails is reported, and the job runs again at its next time. */
export interface Job {
  name: string
  every: 'minute' | 'hour'
  run(): Promise<unknown>
}

/** Periodic jobs, each of which one node at a time runs. Their schedule is in the same database as the uploads. */
export interface Queue {
  /** Runs `job` on one of the nodes that share the database. */
  schedule(job: Job): Promise<void>
  close(): Promise<void>
}

export interface QueueOptions {
  database: Database
  onError(error: unknown, facts: { job?: string }): void
  /** Seconds after which another node may take over a run that has not ended. */
  takeOverAfter: number
}

// A job that still runs this long after `close` is marked as failed, and another node runs it again.
const closeMs = 5000
const crons = { minute: '* * * * *', hour: '0 * * * *' }

/** Opens the queue: pg-boss, in a schema of its own, on the connections of `database`. */
export async function openQueue({ database, onError, takeOverAfter }: QueueOptions): Promise<Queue> {
  // Imported late because it loads calendars and time zones, and the server can already answer requests.
  const { PgBoss } = await import('pg-boss')
  const boss = new PgBoss({
    db: { executeSql: (text, values) => database.executeSql(text, values) },
    schema: `${database.schema === 'public' ? 'landfall' : database.schema}_jobs`,
    cronMonitorIntervalSeconds: 15,
    cronWorkerIntervalSeconds: 5,
  })
  boss.on('error', (error) => onError(toError(error), {}))
  const names: string[] = []
  async function stop(): Promise<void> {
    // boss.stop checks only every half second whether its workers have ended, so they are ended before it is called.
    await within(Promise.all(names.map((name) => boss.offWork(name))), closeMs)
    await boss.stop({ graceful: false })
  }
  try {
    await boss.start()
  } catch (error) {
    // Otherwise the parts of it that have started would keep running.
    await stop().catch(() => {})
    throw toDatabaseError(error)
  }

  async function schedule({ name, every, run }: Job): Promise<void> {
    await boss.createQueue(name, {
      policy: 'exclusive',
      retryLimit: 0,
      expireInSeconds: takeOverAfter,
      deleteAfterSeconds: 3600,
    })
    names.push(name)
    await boss.work(name, { pollingIntervalSeconds: 5 }, async () => {
      await run().catch((error: unknown) => onError(error, { job: name }))
    })
    await boss.schedule(name, crons[every])
  }

  return { schedule, close: stop }
}

/** pg-boss reports errors of its workers as plain objects, which `isOutage` would not recognize and the log would repeat for each job. */
function toError(thrown: unknown): unknown {
  if (thrown instanceof Error || typeof thrown !== 'object' || thrown === null) return thrown
  const { message, stack, ...rest } = thrown as { message?: unknown; stack?: unknown }
  return Object.assign(new Error(String(message)), rest, typeof stack === 'string' && { stack })
}
