import { describe, expect, it } from 'vitest'
import { weather } from './storm.ts'

/** Small in the suite; `npm run faults` is the long run, and repeats a seed. */
describe('a storm of kills, cuts and refusals', () => {
  it.each(['local', 's3'] as const)('breaks no promise (%s)', { timeout: 280_000 }, async (store) => {
    const seed = process.env.TEST_SEED ?? String(Date.now())

    const report = await weather({ seed, uploads: 12, atOnce: 4, kills: 5, store })

    expect(report.violations, `seed ${seed}`).toEqual([])
    expect(report.completed).toBe(12)
  })
})
