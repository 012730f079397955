import type { Failure, FailureCode } from './request-error.ts'

/**
 * What to do after a failure.
 * - `again`: the same upload goes on by itself after a while
 * - `token`: it goes on when there is another token
 * - `lost`: the server has no such upload (any more); only a new one can help
 * - `smaller`: something in between refuses long bodies; shorter ones may pass
 * - `final`: trying again would end the same way
 */
export type Reaction =
  | { kind: 'again'; afterMs: number }
  | { kind: 'token' }
  | { kind: 'lost' }
  | { kind: 'smaller' }
  | { kind: 'final' }

const delaysMs = [500, 1000, 2000, 4000, 8000, 15_000, 30_000]

/** Timers that are longer than 24 days end at once. */
const longestMs = 24 * 60 * 60 * 1000

/** How often in a row, without a byte of progress, a server may fail in a way that looks like its own fault. */
const patience = 8

/** Over soon, by nature: worth waiting for without end. */
const transientCodes: (FailureCode | null)[] = [
  'NO_ANSWER',
  'STORE_UNAVAILABLE',
  'DATABASE_ERROR',
  'SHUTTING_DOWN',
  'RATE_LIMITED',
  'BODY_TIMEOUT',
  'UPLOAD_LOCKED',
]
/** Settled by asking for the offset once more. */
const finalCodes: (FailureCode | null)[] = ['OFFSET_MISMATCH', 'UPLOAD_COMPLETED', 'CHECKSUM_MISMATCH']
const lost: (FailureCode | null)[] = ['UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST']

/**
 * Decides by code where there is one, else by status.
 * @param attempt how many tries have failed in a row without progress, this one not counted
 * @param chance 0 to 1: spreads the returns of many clients after an outage
 */
export function chooseReaction(failure: Failure, attempt: number, chance = Math.random()): Reaction {
  const { code, status, method } = failure
  // "At once", said for ever, would be a flood.
  const afterMs = Math.min(failure.retryAfterMs || delay(attempt, chance), longestMs)
  const again: Reaction = { kind: 'again', afterMs }

  if (code === 'UNAUTHENTICATED') return { kind: 'token' }
  if (code === 'FILE_UNREADABLE') return { kind: 'final' }
  if (lost.includes(code)) return { kind: 'lost' }
  if (transientCodes.includes(code)) return again
  if (finalCodes.includes(code)) return attempt < patience ? again : { kind: 'final' }
  if (code === null && status === 413 && method === 'PATCH') return { kind: 'smaller' }
  if (status === 502 || status === 503 || status === 504) return again
  if (code === null && (status === 408 || status === 409)) return attempt < patience ? again : { kind: 'final' }
  if (status !== null && status >= 500 && status !== 501) return attempt < patience ? again : { kind: 'final' }
  return { kind: 'final' }
}

function delay(attempt: number, chance: number): number {
  const base = delaysMs[Math.min(attempt, delaysMs.length - 1)]!
  return Math.round(base * (0.75 + chance / 2))
}
