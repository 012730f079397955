import { setTimeout as pause } from 'node:timers/promises'
import { isUploadError } from './core/errors/error.ts'

export interface RetryOptions {
  /** How long a part of the world may be away. */
  timeoutMs: number
  /** Told of every attempt that will be followed by another one. */
  onRetry(error: unknown): void
  /** Ends the waiting: what was waited for rejects. */
  signal?: AbortSignal
}

const firstPauseMs = 100
const longestPauseMs = 2000

/**
 * Does `work`, again while the store or the database is away: servers start together with what they need, and restart in
 * the middle of its troubles. What waiting does not mend, such as wrong credentials, rises at once.
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
