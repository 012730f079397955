import { expect, it, onTestFinished } from 'vitest'
import { measureGrowth } from '../../tools/growth/measure.ts'
import { freshDatabase } from '../support/postgres.ts'

// Kept short by their nature, or read whole because an operator asked for all of them.
const small = ['api_keys', 'policy_versions', 'activity', 'upload_usage', 'store_pairing', 'server_secrets']

// Looks at all uploads that are open: whether somebody writes to one is in no index, because it changes with every request.
const ofOpen = 'admin-sessions-live'

it('no statement reads more when there are more uploads', async () => {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  onTestFinished(dispose)

  const { plans } = await measureGrowth(url, 20_000, () => {})

  const greedy = plans.filter(
    ({ name, pages, scanned }) =>
      (pages > 400 && !name.startsWith(ofOpen)) || scanned.some((table) => !small.includes(table)),
  )
  expect(greedy.map(({ name, pages, scanned }) => ({ name, pages, scanned }))).toEqual([])
  expect(plans.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'upload-find',
      'upload-list',
      'upload-list-before',
      'upload-find-final',
      'upload-save',
      'lease-acquire',
    ]),
  )
})
