import { expect, it } from 'vitest'
import { liveFuzz } from '../../tools/fuzz/live.ts'

const seed = process.env.FUZZ_SEED ?? 'short'

it.each([
  ['memory', 1000],
  ['local', 500],
] as const)(
  'nonsense is refused, soon, harms nobody and leaves nothing, with files in %s',
  { timeout: 300_000 },
  async (store, requests) => {
    const verdict = await liveFuzz({ seed, requests, store })

    expect(
      verdict.violations,
      `npm run fuzz -- --seed ${seed} --requests ${requests} --store ${store} says it again`,
    ).toEqual([])
    // They are not all refused at the same door, and some are sound after all.
    expect(Object.keys(verdict.counts).length).toBeGreaterThan(12)
    expect(verdict.counts['201']).toBeGreaterThan(requests / 50)
    expect(verdict.counts['uploads cancelled, were whole']).toBeGreaterThan(3)
  },
)
