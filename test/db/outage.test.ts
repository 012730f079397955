import { describe, expect, it } from 'vitest'
import { UploadError } from '../../src/core/errors/error.ts'
import { isOutage } from '../../src/db/errors.ts'
import { type Outage, watchOutage } from '../../src/db/outage.ts'

const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })

/** A database that is away until `come`, and what is told of it. */
function away() {
  let isAway = true
  let probes = 0
  const told: Outage[] = []
  const waiting: (() => void)[] = []
  const watch = watchOutage({
    everyMs: 1,
    async probe() {
      probes += 1
      for (const wake of waiting.splice(0)) wake()
      if (isAway) throw refused
    },
    report(outage) {
      told.push(outage)
      for (const wake of waiting.splice(0)) wake()
    },
  })
  const until = async (isTrue: () => boolean) => {
    while (!isTrue()) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  return {
    watch,
    told,
    until,
    probes: () => probes,
    come() {
      isAway = false
    },
  }
}

describe('an outage of the database', () => {
  it('is told once when it begins and once when it is over, however many notice it', async () => {
    const { watch, told, until, probes, come } = away()

    for (let error = 0; error < 100; error += 1) watch.notice(refused)
    await until(() => probes() > 20)
    for (let error = 0; error < 100; error += 1) watch.notice(refused)
    come()
    await until(() => told.length === 2)

    expect(told).toEqual([
      { state: 'lost', reason: 'connect ECONNREFUSED' },
      { state: 'restored', afterMs: expect.any(Number) },
    ])
  })

  it('is told of each outage anew', async () => {
    const first = away()
    first.watch.notice(refused)
    await first.until(() => first.told.length === 1)
    first.come()
    await first.until(() => first.told.length === 2)
    await new Promise((resolve) => setImmediate(resolve))

    first.watch.notice(refused)
    await first.until(() => first.probes() > 2)

    // The probe answered: one connection that broke is no outage.
    expect(first.told).toHaveLength(2)
  })

  it('passes on once why a lost database does not come back', async () => {
    const { watch, told } = away()

    watch.explain('the disk is full')
    watch.explain('the disk is full')

    expect(told).toEqual([{ state: 'lost', reason: 'the disk is full' }])
  })

  it('is not told of after the database was closed', async () => {
    const { watch, told, probes } = away()
    watch.close()

    watch.notice(refused)

    expect([told, probes()]).toEqual([[], 0])
  })
})

describe('an error of the database', () => {
  const withCode = (code: string) => Object.assign(new Error('x'), { code })
  const inside = (cause: unknown) => new UploadError('DATABASE_ERROR', 'Please try again.', {}, { cause })

  it.each<[string, boolean, unknown]>([
    ['a refused connection', true, refused],
    ['one that several addresses refused', true, new AggregateError([refused])],
    ['a server that is shut down', true, withCode('57P01')],
    ['a server that starts', true, withCode('57P03')],
    ['a server that became a standby', true, withCode('25006')],
    ['a connection that broke', true, new Error('Connection terminated unexpectedly')],
    ['what a caller was told of it', true, inside(refused)],
    ['a full disk', false, withCode('53100')],
    ['a deadlock', false, inside(withCode('40P01'))],
    ['a wrong statement', false, withCode('42601')],
    ['a fault of ours', false, new TypeError('x is not a function')],
    ['nothing', false, undefined],
  ])('%s is an outage: %s', (_, expected, error) => {
    expect(isOutage(error)).toBe(expected)
  })
})
