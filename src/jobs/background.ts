import type { RunningEngine } from '../core/engine.ts'
import type { ObjectStore, UploadRepository } from '../core/ports.ts'
import { toDatabaseError } from '../db/errors.ts'
import type { Database } from '../db/open.ts'
import { finishUploads } from './finish-uploads.ts'
import { createOutbox, type Listener } from './outbox.ts'
import { openQueue } from './queue.ts'
import { sweep } from './sweep.ts'
import { sweepOrphans } from './sweep-orphans.ts'

export interface BackgroundOptions {
  database: Database
  engine: RunningEngine
  uploads: UploadRepository
  store: ObjectStore
  listeners: Listener[]
  /** Whether uploads may be ended and anything may be removed now: not while the store is away, nor for a database that was restored. */
  mayRemove(): Promise<boolean>
  /** What else is to be done once a minute, by name. */
  periodicJobs?: Record<string, () => Promise<unknown>>
  now: () => Date
  onError: (error: unknown, facts: object) => void
}

// A node that dies in the middle of a job is replaced after this.
const takeOverAfter = 300
const deliverEveryMs = 1000

/**
 * Starts the work that nobody waits for: finishing, expiring, cleaning up and telling of events. Returns the way to end it.
 * @throws UploadError DATABASE_ERROR when the database was away; nothing runs then, and it may be tried again
 */
export async function startBackground(options: BackgroundOptions): Promise<() => Promise<void>> {
  const { database, engine, uploads, store, listeners, mayRemove, periodicJobs = {}, now, onError } = options
  const outbox = createOutbox(database, listeners, onError)
  const queue = await openQueue({ database, onError, takeOverAfter })
  try {
    await queue.everyMinute('finish-uploads', () => finishUploads(engine, uploads))
    await queue.everyMinute('sweep', async () => (await mayRemove()) && sweep(engine, uploads, now()))
    await queue.everyHour('sweep-orphans', async () => (await mayRemove()) && sweepOrphans(engine, uploads, store))
    for (const [name, chore] of Object.entries(periodicJobs)) await queue.everyMinute(name, chore)
  } catch (error) {
    await queue.close().catch(() => {})
    throw toDatabaseError(error)
  }
  // Every node looks for events that are due: those of a node that died are told by another.
  const soon = setInterval(() => outbox.wake(), deliverEveryMs)
  return async () => {
    clearInterval(soon)
    await queue.close()
    await outbox.close()
  }
}
