import { expect, it } from 'vitest'
import { liveRound } from '../../../tools/faults/driver/round.ts'

const seed = process.env.FAULTS_SEED ?? 'short'

it('keeps every promise through a storm in which servers are killed', { timeout: 240_000 }, async () => {
  const result = await liveRound({
    seed,
    store: 's3',
    nodes: 2,
    uploads: 10,
    atOnce: 10,
    lifeMs: 300,
    withinMs: 10_000,
  })

  expect(result.violations, `FAULTS_SEED=${seed} lives through it again`).toEqual([])
  expect(result.kills).toBeGreaterThan(0)
})
