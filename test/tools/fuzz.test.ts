import { it } from 'vitest'
import { expectNoViolations } from '../support/fuzz.ts'

const seed = process.env.FUZZ_SEED ?? 'short'

// On the store on disk: test/system/tools/fuzz.test.ts.
it('malformed requests are refused soon and leave nothing in the store in memory', async () => {
  await expectNoViolations({ seed, requests: 1000, store: 'memory' })
})
