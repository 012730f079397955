import { expect } from 'vitest'
import { type Fuzz, runFuzz } from '../../tools/fuzz/fuzz.ts'

/** Runs the fuzzer and expects that the server holds what it promises, and that the requests reach most of it. */
export async function expectNoViolations({ seed, requests, store }: Fuzz): Promise<void> {
  const result = await runFuzz({ seed, requests, store })

  const command = `npm run fuzz -- --seed ${seed} --requests ${requests} --store ${store}`
  expect(result.violations, `${command} repeats it`).toEqual([])
  // The requests reach different errors, and some are valid.
  expect(Object.keys(result.counts).length).toBeGreaterThan(12)
  expect(result.counts['201']).toBeGreaterThan(requests / 50)
  expect(result.counts['uploads cancelled, had completed']).toBeGreaterThan(3)
}
