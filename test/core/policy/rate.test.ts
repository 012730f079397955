import { describe, expect, it } from 'vitest'
import { countOne, retryAfter } from '../../../src/core/policy/rate.ts'

const start = Date.parse('2026-01-02T03:04:05Z')

describe('a limit per minute', () => {
  it.each([1, 7, 60, 999])('allows exactly %i at once', (perMinute) => {
    let at: number | null = null
    for (let n = 0; n < perMinute; n += 1) {
      const counted = countOne(at, start, perMinute)
      expect(counted.waitMs).toBe(0)
      at = counted.at
    }

    expect(countOne(at, start, perMinute).waitMs).toBeGreaterThan(0)
  })

  it('says when the next one is allowed, and allows it then', () => {
    let at: number | null = null
    for (let n = 0; n < 6; n += 1) at = countOne(at, start, 6).at

    const { waitMs } = countOne(at, start, 6)

    expect(waitMs).toBe(10_000)
    expect(countOne(at, start + waitMs, 6).waitMs).toBe(0)
    expect(countOne(at, start + waitMs - 100, 6).waitMs).toBe(100)
    expect(retryAfter(waitMs)).toBe(10)
  })

  it('does not count refused requests', () => {
    const first = countOne(null, start, 1)
    for (let n = 0; n < 10; n += 1) expect(countOne(first.at, start, 1).at).toBe(first.at)

    expect(countOne(first.at, start + 60_000, 1).waitMs).toBe(0)
  })

  it('does not accumulate beyond a minute', () => {
    let at: number | null = countOne(null, start, 2).at
    at = countOne(at, start + 3_600_000, 2).at
    at = countOne(at, start + 3_600_000, 2).at

    expect(countOne(at, start + 3_600_000, 2).waitMs).toBe(30_000)
  })
})
