import { setTimeout as pause } from 'node:timers/promises'
import { isUploadError } from '../core/errors/error.ts'

export interface RetryOptions {
  /** How long the store or the database may be unavailable. */
  timeoutMs: number
  /** Called for every failed attempt that will be followed by another one. */
  onRetry(error: unknown): void
  /** Ends the wait: the promise rejects. */
  signal?: AbortSignal
}

const firstPauseMs = 100
const longestPauseMs = 2000

/**
 * Runs `work`, with retries while the store or the database is not reachable: a server may start together with them, or restart during
 * an outage. Errors that a retry does not help, such as wrong credentials, are thrown at once.
 */
export async function retryUntil<T>(work: () => Promise<T>, { timeoutMs, onRetry, signal }: RetryOptions): Promise<T> {
  const until = performance.now() + timeoutMs
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    try {
      return await work()
    } catch (error) {
      const mayPass = isUploadError(error, 'STORE_UNAVAILABLE', 'DATABASE_ERROR')
      if (!mayPass || performance.now() + pauseMs > until) throw error
      onRetry(error)
      await pause(pauseMs, undefined, { signal })
    }
  }
}
