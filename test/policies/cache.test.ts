import { expect, it, onTestFinished } from 'vitest'
import { defaultPolicies } from '../../src/core/policy/policy.ts'
import { openDatabase } from '../../src/db/open.ts'
import { openPolicyCache } from '../../src/policies/cache.ts'
import { type PolicyVersion, policyVersionsIn } from '../../src/policies/versions.ts'
import { freshDatabase } from '../support/postgres.ts'

it('loads a new version on notification, before the next poll', async () => {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  onTestFinished(dispose)
  const database = await openDatabase({ url, dataDir: '', pool: 5, timeoutMs: 60_000, onError: console.error })
  onTestFinished(() => database.close())
  const versions = policyVersionsIn(database)
  const changed = Promise.withResolvers<PolicyVersion>()
  const policyCache = await openPolicyCache({
    database,
    versions,
    initialPolicies: defaultPolicies,
    pollMs: 2 ** 31 - 1,
    onError: changed.reject,
    onChange: changed.resolve,
  })
  onTestFinished(() => policyCache.close())

  const added = await versions.add(
    policyCache.current().version,
    { ...defaultPolicies, users: {} },
    { author: 'root', note: null },
  )

  expect((await changed.promise).version).toBe(added!.version)
  expect(policyCache.current().version).toBe(added!.version)
})
