import { describe, expect, it } from 'vitest'
import { type Failure, noAnswer, readFailure } from '../../src/client/request-error.ts'
import { decideRetry } from '../../src/client/retry.ts'

function failureOf(method: string, status: number, code?: string, retryAfter: string | null = null): Failure {
  const body = code ? JSON.stringify({ error: { code, message: 'An error.', timestamp: '' } }) : '<html>no</html>'
  return readFailure(method, status, body, retryAfter)
}

describe('the reaction to a failure', () => {
  it.each([
    ['no response', noAnswer('PATCH'), 'retry'],
    ['an unavailable store', failureOf('PATCH', 503, 'STORE_UNAVAILABLE'), 'retry'],
    ['a server that shuts down', failureOf('HEAD', 503), 'retry'],
    ['a gateway without an upstream server', failureOf('PATCH', 502), 'retry'],
    ['another writer', failureOf('HEAD', 423), 'retry'],
    ['an offset mismatch', failureOf('PATCH', 409, 'OFFSET_MISMATCH'), 'retry'],
    ['a lost response to the last PATCH', failureOf('PATCH', 409, 'UPLOAD_COMPLETED'), 'retry'],
    ['a token that has expired', failureOf('PATCH', 401, 'UNAUTHENTICATED'), 'token'],
    ['a token that has expired, without a body', failureOf('HEAD', 401), 'token'],
    ['an unknown upload', failureOf('HEAD', 404), 'lost'],
    ['an upload that is gone', failureOf('HEAD', 410), 'lost'],
    ['a proxy that refuses long bodies', failureOf('PATCH', 413), 'smaller'],
    ['a file that is too large', failureOf('POST', 413, 'FILE_TOO_LARGE'), 'final'],
    ['a file that turns out to be too large', failureOf('PATCH', 413, 'FILE_TOO_LARGE'), 'final'],
    ['a type that is not allowed', failureOf('POST', 415, 'TYPE_NOT_ALLOWED'), 'final'],
    ['an exceeded quota', failureOf('POST', 403, 'QUOTA_EXCEEDED'), 'final'],
    ['a file that was changed', { ...noAnswer('PATCH'), code: 'FILE_UNREADABLE' as const }, 'final'],
  ])('of %s', (_, failure, kind) => {
    expect(decideRetry(failure, 0).kind).toBe(kind)
  })

  it('gives up on a server that keeps failing, but not on the network', () => {
    expect(decideRetry(failureOf('PATCH', 500, 'INTERNAL_ERROR'), 3).kind).toBe('retry')
    expect(decideRetry(failureOf('PATCH', 500, 'INTERNAL_ERROR'), 8).kind).toBe('final')
    expect(decideRetry(noAnswer('PATCH'), 1000).kind).toBe('retry')
  })

  it('waits longer after each attempt, up to 30 seconds', () => {
    const waits = [0, 1, 2, 6, 50].map((attempt) => decideRetry(noAnswer('PATCH'), attempt, 0.5))

    expect(waits).toEqual([500, 1000, 2000, 30_000, 30_000].map((afterMs) => ({ kind: 'retry', afterMs })))
  })

  it('waits as long as Retry-After says', () => {
    expect(decideRetry(failureOf('PATCH', 503, 'SHUTTING_DOWN', '7'), 0)).toEqual({ kind: 'retry', afterMs: 7000 })
  })

  it('ignores Retry-After: 0', () => {
    expect(decideRetry(failureOf('PATCH', 503, undefined, '0'), 3, 0.5)).toEqual({ kind: 'retry', afterMs: 4000 })
  })

  it('waits no longer than a timer can', () => {
    const reaction = decideRetry(failureOf('PATCH', 429, 'RATE_LIMITED', '99999999'), 0)

    expect(reaction.kind === 'retry' && reaction.afterMs).toBeLessThan(2 ** 31)
  })

  it('spreads the retries of many clients', () => {
    expect(decideRetry(noAnswer('PATCH'), 3, 0)).toEqual({ kind: 'retry', afterMs: 3000 })
    expect(decideRetry(noAnswer('PATCH'), 3, 1)).toEqual({ kind: 'retry', afterMs: 5000 })
  })
})
