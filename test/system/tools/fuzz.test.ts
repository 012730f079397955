import { it } from 'vitest'
import { expectNoViolations } from '../../support/fuzz.ts'

const seed = process.env.FUZZ_SEED ?? 'short'

it('malformed requests are refused soon and leave nothing in the store on disk', { timeout: 300_000 }, async () => {
  await expectNoViolations({ seed, requests: 1000, store: 'local' })
})
