import { beforeEach, describe, expect, it } from 'vitest'
import { userOf } from '../../../src/core/upload.ts'
import { counted, findActivity, forgetActivity, recordActivity } from '../../../src/features/activity/activity.ts'
import type { Totals } from '../../../src/features/feature.ts'
import { bodyOf, testDatabase } from '../../support/open-engine.ts'
import { testApp } from '../../support/test-app.ts'
import { until } from '../../support/until.ts'

const none = Object.fromEntries(counted.map((name) => [name, 0])) as Totals
const hour = { seconds: 3600, step: 60 }

beforeEach(async () => {
  await (await testDatabase()).executeSql('delete from activity')
})

describe('the activity of the servers', () => {
  it('is the sum of what all of them counted', async () => {
    const database = await testDatabase()
    const totals = [
      { ...none, receivedBytes: 5e12, requests: 2 },
      { ...none, receivedBytes: 1, serverErrors: 3 },
    ]
    const stops = totals.map((total) => recordActivity({ database, read: async () => total, onError: rethrow }))

    for (const stop of stops) await stop()

    const points = await findActivity(database, hour)
    expect(sumOf(points)).toEqual({ ...none, receivedBytes: 5e12 + 1, requests: 2, serverErrors: 3 })
    expect(points.length).toBeGreaterThanOrEqual(60)
    expect(points.filter(({ requests }) => requests > 0)).toHaveLength(1)
  })

  it('is written once, and not at all while nothing happens', async () => {
    const database = await testDatabase()
    const total = { ...none, created: 1 }
    let reads = 0
    const read = async () => {
      reads += 1
      return total
    }
    const stop = recordActivity({ database, read, onError: rethrow, everyMs: 5 })
    // Each read comes after the write of the previous one.
    await until(() => reads >= 3)
    total.created = 3

    await stop()

    expect(sumOf(await findActivity(database, hour))).toEqual({ ...none, created: 3 })
  })

  it('is written later when the database was unavailable', async () => {
    const database = await testDatabase()
    const problems: unknown[] = []
    let isBroken = true
    const breaking = {
      ...database,
      queryOnce: (...args: Parameters<typeof database.queryOnce>) =>
        isBroken ? Promise.reject(new Error('no')) : database.queryOnce(...args),
    }
    const read = async () => ({ ...none, completed: 2 })
    const stop = recordActivity({
      database: breaking as typeof database,
      read,
      onError: (error) => problems.push(error),
      everyMs: 5,
    })
    await expect.poll(() => problems.length).toBeGreaterThan(0)
    isBroken = false

    await stop()

    expect(sumOf(await findActivity(database, hour))).toEqual({ ...none, completed: 2 })
  })

  it('is removed after eight days, and no sooner', async () => {
    const database = await testDatabase()
    const ones = counted.map(() => '1').join(', ')
    await database.executeSql(
      `insert into activity values (now() - interval '193 hours', ${ones}), (now() - interval '1 day', ${ones})`,
    )

    await forgetActivity(database)

    expect(sumOf(await findActivity(database, { seconds: 9 * 86_400, step: 3600 })).created).toBe(1)
  })
})

it('GET /v1/admin/activity returns what a server has recorded', async () => {
  const root = userOf('root', 'creator', { isAdmin: true })
  const first = await testApp()
  const { id } = await first.engine.create(root, { filename: 'a.txt', contentType: 'text/plain', size: 5 })
  await first.engine.append(root, id, { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'at-size' })
  const cancelled = await first.engine.create(root, { filename: 'b.txt', contentType: 'text/plain', size: 5 })
  await first.engine.cancel(root, cancelled.id)
  await first.http.inject({ url: '/v1/uploads' })
  await first.http.close()

  const app = await testApp()
  const response = await app.http.inject({
    url: '/v1/admin/activity?minutes=30&points=60',
    headers: await app.as(root),
  })

  expect(response.statusCode).toBe(200)
  expect(response.json().stepSeconds).toBe(30)
  expect(sumOf(response.json().points)).toEqual({
    ...none,
    receivedBytes: 5,
    storedBytes: 5,
    requests: 1,
    clientErrors: 1,
    created: 2,
    completed: 1,
    cancelled: 1,
  })
  for (const query of ['minutes=0', 'points=1001', 'minutes=99999'])
    expect(
      (await app.http.inject({ url: `/v1/admin/activity?${query}`, headers: await app.as(root) })).statusCode,
    ).toBe(400)
})

function sumOf(points: Totals[]): Totals {
  return Object.fromEntries(
    counted.map((name) => [name, points.reduce((sum, point) => sum + point[name], 0)]),
  ) as Totals
}

function rethrow(error: unknown): never {
  throw error
}
