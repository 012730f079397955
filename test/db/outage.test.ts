import { describe, expect, it } from 'vitest'
import { errors } from '../../src/core/errors/errors.ts'
import { isOutage } from '../../src/db/errors.ts'
import { type Outage, watchOutage } from '../../src/db/outage.ts'

const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })

/** The watch of a database that is away until `comeBack`, and its reports. */
function watchAwayDatabase() {
  let isAway = true
  let probes = 0
  const reports: Outage[] = []
  const waiting: (() => void)[] = []
  const watch = watchOutage({
    everyMs: 1,
    async probe() {
      probes += 1
      for (const wake of waiting.splice(0)) wake()
      if (isAway) throw refused
    },
    report(outage) {
      reports.push(outage)
      for (const wake of waiting.splice(0)) wake()
    },
  })
  const until = async (isTrue: () => boolean) => {
    while (!isTrue()) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  return {
    watch,
    reports,
    until,
    probes: () => probes,
    comeBack() {
      isAway = false
    },
  }
}

describe('an outage of the database', () => {
  it('is reported once at its start and once at its end, however many errors come', async () => {
    const { watch, reports, until, probes, comeBack } = watchAwayDatabase()

    for (let error = 0; error < 100; error += 1) watch.notice(refused)
    await until(() => probes() > 20)
    for (let error = 0; error < 100; error += 1) watch.notice(refused)
    comeBack()
    await until(() => reports.length === 2)

    expect(reports).toEqual([
      { state: 'lost', reason: 'connect ECONNREFUSED' },
      { state: 'restored', afterMs: expect.any(Number) },
    ])
  })

  it('is not reported when an error comes but the probe succeeds', async () => {
    const { watch, reports, until, probes, comeBack } = watchAwayDatabase()
    watch.notice(refused)
    await until(() => reports.length === 1)
    comeBack()
    await until(() => reports.length === 2)
    await new Promise((resolve) => setImmediate(resolve))

    watch.notice(refused)
    await until(() => probes() > 2)

    expect(reports).toHaveLength(2)
  })

  it('is reported once with the reason why the database does not come back', async () => {
    const { watch, reports } = watchAwayDatabase()

    watch.explain('the disk is full')
    watch.explain('the disk is full')

    expect(reports).toEqual([{ state: 'lost', reason: 'the disk is full' }])
  })

  it('is not reported after the watch was closed', async () => {
    const { watch, reports, probes } = watchAwayDatabase()
    watch.close()

    watch.notice(refused)

    expect([reports, probes()]).toEqual([[], 0])
  })
})

describe('an error of the database', () => {
  const withCode = (code: string) => Object.assign(new Error('x'), { code })
  const wrapped = (cause: unknown) => errors.databaseUnavailable({}, cause)

  it.each<[string, boolean, unknown]>([
    ['a refused connection', true, refused],
    ['a connection refused by several addresses', true, new AggregateError([refused])],
    ['a server that is shutting down', true, withCode('57P01')],
    ['a server that is starting', true, withCode('57P03')],
    ['a server that became a standby', true, withCode('25006')],
    ['a broken connection', true, new Error('Connection terminated unexpectedly')],
    ['a DATABASE_ERROR caused by it', true, wrapped(refused)],
    ['a full disk', false, withCode('53100')],
    ['a deadlock', false, wrapped(withCode('40P01'))],
    ['a syntax error', false, withCode('42601')],
    ['a bug of ours', false, new TypeError('x is not a function')],
    ['undefined', false, undefined],
  ])('%s is an outage: %s', (_, expected, error) => {
    expect(isOutage(error)).toBe(expected)
  })
})
