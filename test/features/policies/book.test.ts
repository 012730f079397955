import { expect, it, onTestFinished } from 'vitest'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { openPolicyBook } from '../../../src/features/policies/book.ts'
import { type PolicyVersion, policyVersionsIn } from '../../../src/features/policies/versions.ts'
import { freshDatabase } from '../../support/postgres.ts'

it('a server goes over to a new version when it is told, before it would ask for one', async () => {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  onTestFinished(dispose)
  const database = await openDatabase({ url, dataDir: '', pool: 5, patienceMs: 60_000, onFault: console.error })
  onTestFinished(() => database.close())
  const versions = policyVersionsIn(database)
  const changed = Promise.withResolvers<PolicyVersion>()
  const book = await openPolicyBook({
    database,
    versions,
    seed: defaultPolicies,
    pollMs: 2 ** 31 - 1,
    onFault: changed.reject,
    onChange: changed.resolve,
  })
  onTestFinished(() => book.close())

  const added = await versions.add(
    book.current().version,
    { ...defaultPolicies, users: {} },
    { author: 'root', note: null },
  )

  expect((await changed.promise).version).toBe(added!.version)
  expect(book.current().version).toBe(added!.version)
})
