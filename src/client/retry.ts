import type { Failure, FailureCode } from './request-error.ts'

/**
 * What to do after a failure.
 * - `retry`: the upload resumes by itself after `afterMs`
 * - `token`: it resumes when there is another token
 * - `lost`: the server does not have the upload; only a new upload can succeed
 * - `smaller`: a proxy refuses long request bodies; shorter ones may pass
 * - `final`: another attempt would fail in the same way
 */
export type RetryDecision =
  | { kind: 'retry'; afterMs: number }
  | { kind: 'token' }
  | { kind: 'lost' }
  | { kind: 'smaller' }
  | { kind: 'final' }

const delaysMs = [500, 1000, 2000, 4000, 8000, 15_000, 30_000]

/** A delay over 2^31 - 1 ms (24 days) makes a timer fire at once. */
const longestMs = 24 * 60 * 60 * 1000

/** Consecutive attempts without progress, after errors that the server may not recover from. */
const maxAttempts = 8

/** Temporary conditions: retried without a limit. */
const transientCodes: (FailureCode | null)[] = [
  'NO_ANSWER',
  'STORE_UNAVAILABLE',
  'DATABASE_ERROR',
  'SHUTTING_DOWN',
  'RATE_LIMITED',
  'BODY_TIMEOUT',
  'UPLOAD_LOCKED',
]
/** Resolved by reading the offset again. */
const offsetCodes: (FailureCode | null)[] = ['OFFSET_MISMATCH', 'UPLOAD_COMPLETED', 'CHECKSUM_MISMATCH']
const lostCodes: (FailureCode | null)[] = ['UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST']

/**
 * Decides by error code if there is one, else by status.
 * @param attempt consecutive failed attempts without progress before this one
 * @param jitter 0 to 1: spreads the retries of many clients after an outage
 */
export function decideRetry(failure: Failure, attempt: number, jitter = Math.random()): RetryDecision {
  const { code, status, method } = failure
  // `Retry-After: 0` is ignored: a server that always sends it would be flooded.
  const afterMs = Math.min(failure.retryAfterMs || delay(attempt, jitter), longestMs)
  const retry: RetryDecision = { kind: 'retry', afterMs }

  if (code === 'UNAUTHENTICATED') return { kind: 'token' }
  if (code === 'FILE_UNREADABLE') return { kind: 'final' }
  if (lostCodes.includes(code)) return { kind: 'lost' }
  if (transientCodes.includes(code)) return retry
  if (offsetCodes.includes(code)) return attempt < maxAttempts ? retry : { kind: 'final' }
  if (code === null && status === 413 && method === 'PATCH') return { kind: 'smaller' }
  if (status === 502 || status === 503 || status === 504) return retry
  if (code === null && (status === 408 || status === 409)) return attempt < maxAttempts ? retry : { kind: 'final' }
  if (status !== null && status >= 500 && status !== 501) return attempt < maxAttempts ? retry : { kind: 'final' }
  return { kind: 'final' }
}

function delay(attempt: number, jitter: number): number {
  const base = delaysMs[Math.min(attempt, delaysMs.length - 1)]!
  return Math.round(base * (0.75 + jitter / 2))
}
