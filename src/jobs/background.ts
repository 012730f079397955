import { retryUntil } from '../async/retry-until.ts'
import type { RunningEngine } from '../core/engine.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
import { toDatabaseError } from '../db/errors.ts'
import type { Database } from '../db/open.ts'
import { finishUploads } from './finish-uploads.ts'
import { createOutbox, type Listeners } from './outbox.ts'
import { type Job, openQueue } from './queue.ts'
import { sweep } from './sweep.ts'
import { sweepOrphans } from './sweep-orphans.ts'

export interface BackgroundOptions extends Listeners {
  database: Database
  engine: RunningEngine
  uploads: UploadRepository
  store: ObjectStore
  /** Whether jobs may end uploads and remove objects: not while the store is away, nor after the database was restored. */
  mayRemove(): Promise<boolean>
  /** Jobs in addition to those of uploads. */
  jobs?: Job[]
  now: () => Date
  onError: (error: unknown, facts: object) => void
  /** Called for every failed attempt to start that will be followed by another one. */
  onRetry(error: unknown): void
}

/** Work that no request waits for: finishing, expiring and cleaning up uploads, delivering events, and the jobs of features. */
export interface Background {
  /** Resolves when the work has started or was closed before; rejects when it cannot start and a retry would not help. */
  working: Promise<void>
  close(): Promise<void>
}

// After this another node takes over the job of a node that died.
const takeOverAfter = 300
const deliverEveryMs = 1000

/** Starts the work, with retries while the database is not reachable: requests are answered meanwhile. */
export function startBackground(options: BackgroundOptions): Background {
  const stopping = new AbortController()
  const { signal } = stopping
  const started = retryUntil(() => start(options), {
    timeoutMs: Number.POSITIVE_INFINITY,
    onRetry: options.onRetry,
    signal,
  })
  const working = started.then(
    () => {},
    (error: unknown) => (signal.aborted ? undefined : Promise.reject(error)),
  )
  // A caller that ignores `working` must not cause an unhandled rejection.
  working.catch(() => {})
  return {
    working,
    async close() {
      stopping.abort()
      const stop = await started.catch(() => null)
      await stop?.()
    },
  }
}

/** For a process beside which another one of the same server does the work. */
export function startNothing(_options: BackgroundOptions): Background {
  return { working: Promise.resolve(), close: async () => {} }
}

/** Returns the function that stops the work. @throws UploadError DATABASE_ERROR when the database was away; nothing runs then */
async function start(options: BackgroundOptions): Promise<() => Promise<void>> {
  const { database, engine, uploads, store, mayRemove, jobs = [], now, onError } = options
  const outbox = createOutbox(database, options, onError)
  const queue = await openQueue({ database, onError, takeOverAfter })
  const own: Job[] = [
    { name: 'finish-uploads', every: 'minute', run: () => finishUploads(engine, uploads) },
    { name: 'sweep', every: 'minute', run: async () => (await mayRemove()) && sweep(engine, uploads, now()) },
    {
      name: 'sweep-orphans',
      every: 'hour',
      run: async () => (await mayRemove()) && sweepOrphans(engine, uploads, store),
    },
  ]
  try {
    for (const job of [...own, ...jobs]) await queue.schedule(job)
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
