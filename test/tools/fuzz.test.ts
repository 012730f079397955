import { expect, it } from 'vitest'
import { runFuzz } from '../../tools/fuzz/fuzz.ts'

const seed = process.env.FUZZ_SEED ?? 'short'

it.each([
  ['memory', 1000],
  ['local', 500],
] as const)(
  'malformed requests are refused soon and leave nothing in the %s store',
  { timeout: 300_000 },
  async (store, requests) => {
    const result = await runFuzz({ seed, requests, store })

    expect(
      result.violations,
      `npm run fuzz -- --seed ${seed} --requests ${requests} --store ${store} repeats it`,
    ).toEqual([])
    // The requests reach different errors, and some are valid.
    expect(Object.keys(result.counts).length).toBeGreaterThan(12)
    expect(result.counts['201']).toBeGreaterThan(requests / 50)
    expect(result.counts['uploads cancelled, had completed']).toBeGreaterThan(3)
  },
)
