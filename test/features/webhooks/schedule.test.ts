import { describe, expect, it } from 'vitest'
import { retryAfterMs, waitAfter } from '../../../src/features/webhooks/schedule.ts'

const now = new Date('2026-01-01T00:00:00Z')
const hour = 3_600_000

describe('the wait after a failed attempt', () => {
  it.each([
    [1, 5000],
    [2, 300_000],
    [9, 24 * hour],
  ])('number %i is %i ms, and a fifth more or less', (attempts, ms) => {
    expect([0, 0.5, 1].map((random) => waitAfter(attempts, random))).toEqual([ms * 0.8, ms, ms * 1.2])
  })

  it('is none after the tenth, nor after more', () => {
    expect([waitAfter(10, 0.5), waitAfter(11, 0.5)]).toEqual([null, null])
  })
})

describe('Retry-After', () => {
  it.each([
    ['120', 120_000],
    ['Thu, 01 Jan 2026 01:00:00 GMT', hour],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['9999999999', 24 * hour],
    ['soon', null],
    [undefined, null],
  ])('%s is %s ms', (header, ms) => {
    expect(retryAfterMs(header, now)).toBe(ms)
  })
})
