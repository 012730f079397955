import { expect, it, onTestFinished } from 'vitest'
import { measureGrowth } from '../../tools/growth/measure.ts'
import { freshDatabase } from '../support/postgres.ts'

// Tables that stay small, or that an operator reads as a whole.
const small = ['api_keys', 'policy_versions', 'activity', 'upload_usage', 'store_pairing', 'server_secrets']

// The first reads all open uploads: the lease is in no index, because it changes with every request. The second is the list of all
// webhooks, for an administrator.
const readsAll = ['admin-uploads-live', 'webhook-list-all']
// Of some hundred webhooks Postgres reads all, rather than those that it finds by an index.
const readsFew = ['webhook-take', 'webhook-oldest']
// For each row that a statement returns; one that returns none may write some twenty.
const mostPages = 600
// What this one reads depends on how much the worker of the server has sent by then, and not on the uploads.
const mostPagesOfPending = { 'webhook-take': 2000 } as Record<string, number>

it('no statement reads more pages when there are more uploads', async () => {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  onTestFinished(dispose)

  const { plans } = await measureGrowth(url, 20_000, () => {})

  const expensive = plans.filter(
    ({ name, pages, rows, scanned }) =>
      !readsAll.some((prefix) => name.startsWith(prefix)) &&
      (pages > (mostPagesOfPending[name] ?? mostPages) * Math.max(1, rows) ||
        (!readsFew.includes(name) && scanned.some((table) => !small.includes(table)))),
  )
  expect(expensive.map(({ name, pages, rows, scanned }) => ({ name, pages, rows, scanned }))).toEqual([])
  expect(plans.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'upload-find',
      'upload-list',
      'upload-list-before',
      'upload-find-final',
      'upload-save',
      'lease-acquire',
      'webhook-fan-out',
      'webhook-take',
      'step-take',
    ]),
  )
})
