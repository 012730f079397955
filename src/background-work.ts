import { type BackgroundOptions, startBackground } from './jobs/background.ts'
import { retryUntil } from './retry-until.ts'

/** Work that nobody waits for, and that nobody who uploads should wait for either. */
export interface BackgroundWork {
  /** Resolves when it has begun, or is no longer wanted; rejects when it cannot begin for a reason that waiting does not mend. */
  working: Promise<void>
  close(): Promise<void>
}

/** Begins the work, again and again while the database is away: requests are answered meanwhile. */
export function beginBackgroundWork(options: BackgroundOptions, onRetry: (error: unknown) => void): BackgroundWork {
  const stopping = new AbortController()
  const { signal } = stopping
  const created = retryUntil(() => startBackground(options), {
    timeoutMs: Number.POSITIVE_INFINITY,
    onRetry,
    signal,
  })
  const working = created.then(
    () => {},
    (error: unknown) => (signal.aborted ? undefined : Promise.reject(error)),
  )
  // Whoever waits for it is told; one who does not need not hear of it.
  working.catch(() => {})
  return {
    working,
    async close() {
      stopping.abort()
      const stop = await created.catch(() => null)
      await stop?.()
    },
  }
}
