import { expect, it } from 'vitest'
import { runRound } from '../../../tools/faults/driver/round.ts'

const seed = process.env.FAULTS_SEED ?? 'short'

it('keeps every promise while faults are injected and servers are killed', { timeout: 240_000 }, async () => {
  const result = await runRound({
    seed,
    store: 's3',
    nodes: 2,
    uploads: 10,
    atOnce: 10,
    lifeMs: 300,
    withinMs: 10_000,
  })

  expect(result.violations, `FAULTS_SEED=${seed} repeats it`).toEqual([])
  expect(result.kills).toBeGreaterThan(0)
})
