import { type BackgroundOptions, startBackground } from './jobs/background.ts'
import { retryUntil } from './retry-until.ts'

/** Work that no request waits for, such as the sweeper and the outbox. */
export interface BackgroundWork {
  /** Resolves when the work has started or was closed before; rejects when it cannot start and a retry would not help. */
  working: Promise<void>
  close(): Promise<void>
}

/** Starts the work, with retries while the database is not reachable: requests are answered meanwhile. */
export function startBackgroundWork(options: BackgroundOptions, onRetry: (error: unknown) => void): BackgroundWork {
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
  // A caller that ignores `working` must not cause an unhandled rejection.
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
