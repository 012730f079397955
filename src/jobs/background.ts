import type { RunningEngine } from '../core/engine.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
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
  /** Whether jobs may end uploads and remove objects: not while the store is away, nor after the database was restored. */
  mayRemove(): Promise<boolean>
  /** Further jobs to run every minute, by name. */
  periodicJobs?: Record<string, () => Promise<unknown>>
  now: () => Date
  onError: (error: unknown, facts: object) => void
}

// After this another node takes over the job of a node that died.
const takeOverAfter = 300
const deliverEveryMs = 1000

/**
 * Starts the background jobs: finishing, expiring and cleaning up uploads, and delivering events. Returns the function that stops them.
 * @throws UploadError DATABASE_ERROR when the database was away; nothing runs then, and the call may be repeated
 */
export async function startBackground(options: BackgroundOptions): Promise<() => Promise<void>> {
  const { database, engine, uploads, store, listeners, mayRemove, periodicJobs = {}, now, onError } = options
  const outbox = createOutbox(database, listeners, onError)
  const queue = await openQueue({ database, onError, takeOverAfter })
  try {
    await queue.everyMinute('finish-uploads', () => finishUploads(engine, uploads))
    await queue.everyMinute('sweep', async () => (await mayRemove()) && sweep(engine, uploads, now()))
    await queue.everyHour('sweep-orphans', async () => (await mayRemove()) && sweepOrphans(engine, uploads, store))
    for (const [name, job] of Object.entries(periodicJobs)) await queue.everyMinute(name, job)
  } catch (error) {
    await queue.close().catch(() => {})
    throw toDatabaseError(error)
  }
  // Every node polls for due events, so that the events of a node that died are delivered by another.
  const timer = setInterval(() => outbox.wake(), deliverEveryMs)
  return async () => {
    clearInterval(timer)
    await queue.close()
    await outbox.close()
  }
}
