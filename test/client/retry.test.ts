import { describe, expect, it } from 'vitest'
import { type Failure, noAnswer, readFailure } from '../../src/client/request-error.ts'
import { chooseReaction } from '../../src/client/retry.ts'

function answered(method: string, status: number, code?: string, retryAfter: string | null = null): Failure {
  const body = code ? JSON.stringify({ error: { code, message: 'So it is.', timestamp: '' } }) : '<html>no</html>'
  return readFailure(method, status, body, retryAfter)
}

describe('what follows from a failure', () => {
  it.each([
    ['no answer at all', noAnswer('PATCH'), 'again'],
    ['a store that is away', answered('PATCH', 503, 'STORE_UNAVAILABLE'), 'again'],
    ['a server that stops', answered('HEAD', 503), 'again'],
    ['a gateway without a server', answered('PATCH', 502), 'again'],
    ['another writer', answered('HEAD', 423), 'again'],
    ['an offset that is not the server’s', answered('PATCH', 409, 'OFFSET_MISMATCH'), 'again'],
    ['an answer that was lost', answered('PATCH', 409, 'UPLOAD_COMPLETED'), 'again'],
    ['a token that has expired', answered('PATCH', 401, 'UNAUTHENTICATED'), 'token'],
    ['a token that has expired, said without words', answered('HEAD', 401), 'token'],
    ['an upload nobody knows', answered('HEAD', 404), 'lost'],
    ['an upload that was given up', answered('HEAD', 410), 'lost'],
    ['a proxy that wants shorter bodies', answered('PATCH', 413), 'smaller'],
    ['a file that is too large', answered('POST', 413, 'FILE_TOO_LARGE'), 'final'],
    ['a file that is too large, found out late', answered('PATCH', 413, 'FILE_TOO_LARGE'), 'final'],
    ['a type that is not allowed', answered('POST', 415, 'TYPE_NOT_ALLOWED'), 'final'],
    ['a quota that is used up', answered('POST', 403, 'QUOTA_EXCEEDED'), 'final'],
    ['a file that was changed', { ...noAnswer('PATCH'), code: 'FILE_UNREADABLE' as const }, 'final'],
  ])('of %s', (_, failure, verdict) => {
    expect(chooseReaction(failure, 0).kind).toBe(verdict)
  })

  it('gives up on a server that only ever fails, but never on the network', () => {
    expect(chooseReaction(answered('PATCH', 500, 'INTERNAL_ERROR'), 3).kind).toBe('again')
    expect(chooseReaction(answered('PATCH', 500, 'INTERNAL_ERROR'), 8).kind).toBe('final')
    expect(chooseReaction(noAnswer('PATCH'), 1000).kind).toBe('again')
  })

  it('waits longer each time, up to half a minute', () => {
    const waits = [0, 1, 2, 6, 50].map((attempt) => chooseReaction(noAnswer('PATCH'), attempt, 0.5))

    expect(waits).toEqual([500, 1000, 2000, 30_000, 30_000].map((afterMs) => ({ kind: 'again', afterMs })))
  })

  it('waits as long as the server asks', () => {
    expect(chooseReaction(answered('PATCH', 503, 'SHUTTING_DOWN', '7'), 0)).toEqual({ kind: 'again', afterMs: 7000 })
  })

  it('is not in a hurry because the server is', () => {
    expect(chooseReaction(answered('PATCH', 503, undefined, '0'), 3, 0.5)).toEqual({ kind: 'again', afterMs: 4000 })
  })

  it('waits no longer than a timer can count', () => {
    const reaction = chooseReaction(answered('PATCH', 429, 'RATE_LIMITED', '99999999'), 0)

    expect(reaction.kind === 'again' && reaction.afterMs).toBeLessThan(2 ** 31)
  })

  it('spreads the returns of many clients', () => {
    expect(chooseReaction(noAnswer('PATCH'), 3, 0)).toEqual({ kind: 'again', afterMs: 3000 })
    expect(chooseReaction(noAnswer('PATCH'), 3, 1)).toEqual({ kind: 'again', afterMs: 5000 })
  })
})
