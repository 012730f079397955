import { expect, it, onTestFinished } from 'vitest'
import { type ClockOptions, openClock } from '../../src/db/clock.ts'
import { testDatabase } from '../support/open-engine.ts'

const dayMs = 24 * 3600_000

it('has the time of the database, whatever the clock of this machine says', async () => {
  const { clock, databaseMs } = await clockOver({ wallMs: () => Date.now() + 8 * dayMs })

  expect(Math.abs(clock.now().getTime() - (await databaseMs()))).toBeLessThan(5000)
  expect(Math.abs(clock.skewMs() - 8 * dayMs)).toBeLessThan(60_000)
})

it('agrees with a machine whose clock is right', async () => {
  const { clock, databaseMs, reports } = await clockOver({})
  const wallMs = await databaseMs()
  const right = await clockOver({ wallMs: () => wallMs + 3000 })

  await expect(clock.check()).resolves.toBeUndefined()
  await expect(right.clock.check()).resolves.toBeUndefined()
  expect(reports).toEqual([])
})

it.each([
  [8 * dayMs, /691\d{3} s ahead of the database/],
  [-20 * 60_000, /1\d{3} s behind the database/],
  [10_000, /\d+ s ahead of the database/],
])('is not ready with a clock that is %i ms off, and reports that once', async (offMs, message) => {
  let errorMs = offMs
  const base = await (await clockOver({})).databaseMs()
  const startedAt = performance.now()
  const wallMs = () => base + performance.now() - startedAt + errorMs
  const { clock, reports } = await clockOver({ wallMs })

  await expect(clock.check()).rejects.toThrow(message)
  await clock.refresh()
  expect(reports).toEqual([expect.stringMatching(message)])

  errorMs = 0
  await expect(clock.check()).resolves.toBeUndefined()
  expect(reports).toEqual([expect.stringMatching(message), null])
})

it('keeps its estimate when a measurement had to wait', async () => {
  let elapsed = 0
  let serverMs = 1_000_000
  let tripMs = 10
  const query = async () => {
    elapsed += tripMs
    return [{ ms: serverMs }] as never
  }
  const { clock } = await clockOver({ database: { query }, wallMs: () => serverMs, elapsedMs: () => elapsed })
  expect(clock.now().getTime()).toBe(1_000_005)

  serverMs = 0
  tripMs = 4200
  await clock.refresh()

  expect(clock.now().getTime()).toBe(1_000_005 + 4200)
})

async function clockOver(options: Partial<ClockOptions>) {
  const database = await testDatabase()
  const reports: (string | null)[] = []
  const clock = await openClock({
    database,
    onSkew: (problem) => reports.push(problem),
    onError: console.error,
    ...options,
  })
  onTestFinished(clock.close)
  const databaseMs = async () =>
    (
      await database.query<{ ms: number }>(
        { name: 'test-clock', text: 'select extract(epoch from clock_timestamp())::float8 * 1000 as ms' },
        [],
      )
    )[0]!.ms
  return { clock, databaseMs, reports }
}
