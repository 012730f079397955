import { describe, expect, it } from 'vitest'
import type { AuditEntry } from '../../../src/core/audit.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import { userOf } from '../../../src/core/upload.ts'
import { createRejectionLog, type RejectionLog } from '../../../src/features/audit/rejections.ts'
import { until } from '../../support/until.ts'

const error = new UploadError('UNAUTHENTICATED', 'This needs a token.')
const forbidden = new UploadError('FORBIDDEN', 'Only administrators may do this.')

async function entriesOf(note: (log: RejectionLog) => void, maxLines = 10): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = []
  const log = createRejectionLog({ write: async (more) => void entries.push(...more), onError: fail, maxLines })
  note(log)
  await log.close()
  return entries
}

describe('a flood of rejections from many networks', () => {
  const flood = (log: RejectionLog) => {
    for (let n = 0; n < 5000; n += 1) log.note(rejected(`10.${n % 250}.${n >> 5}.1`))
  }

  it('does not hide the rejections of a known user', async () => {
    const entries = await entriesOf((log) => {
      flood(log)
      log.note({ ...rejected('192.0.2.6'), actor: userOf('mallory', 'member'), error: forbidden })
    })

    expect(entries.filter(({ by }) => by?.id === 'mallory')).toMatchObject([{ code: 'FORBIDDEN', times: 1 }])
  })

  it('does not hide another network on an admin route', async () => {
    const entries = await entriesOf((log) => {
      flood(log)
      log.note({ ...rejected('192.0.2.6'), adminRoute: 'GET /v1/admin/keys' })
    })

    expect(entries.filter(({ target }) => target === 'GET /v1/admin/keys')).toMatchObject([
      { code: 'UNAUTHENTICATED', by: { client: { address: '192.0.2.6' } } },
    ])
  })

  it('on an admin route is counted to the last request, in few entries', async () => {
    const entries = await entriesOf((log) => {
      for (let n = 0; n < 5000; n += 1)
        log.note({ ...rejected(`10.${n % 250}.${n >> 5}.1`), adminRoute: `GET /v1/admin/${n % 2 ? 'keys' : 'audit'}` })
    })

    expect(entries.length).toBeLessThanOrEqual(12)
    expect(entries.reduce((sum, { times }) => sum + times!, 0)).toBe(5000)
    expect(entries.every(({ action }) => action === 'request.refuse')).toBe(true)
  })

  it('of many known users has an entry for each of them', async () => {
    const entries = await entriesOf((log) => {
      for (let n = 0; n < 5000; n += 1) log.note({ ...rejected('10.0.0.1'), actor: userOf(`user-${n}`, 'member') })
    })

    expect(new Set(entries.map(({ by }) => by?.id)).size).toBe(5000)
  })

  it('has one entry for a user with many addresses', async () => {
    const entries = await entriesOf((log) => {
      for (let n = 0; n < 5000; n += 1)
        log.note({ ...rejected(`2001:db8::${n.toString(16)}`), actor: userOf('mallory', 'member') })
    })

    expect(entries).toMatchObject([{ by: { id: 'mallory' }, times: 5000 }])
  })
})

describe('rejections of unknown clients', () => {
  it.each([
    ['198.51.100.', '198.51.100.0/24'],
    ['2001:db8:7:', '2001:db8:7::/48'],
    ['::ffff:198.51.100.', '198.51.100.0/24'],
  ])('have one entry for the network of %s', async (start, network) => {
    const end = start.endsWith(':') ? (n: number) => `${n}::1` : String
    const entries = await entriesOf((log) => {
      for (let n = 1; n <= 200; n += 1) log.note(rejected(start + end(n)))
    })

    expect(entries).toMatchObject([{ by: { client: { address: network } }, times: 200 }])
  })

  it('keep the address when there is only one', async () => {
    const entries = await entriesOf((log) => {
      for (let n = 0; n < 3; n += 1) log.note(rejected('198.51.100.7'))
    })

    expect(entries).toMatchObject([{ by: { client: { address: '198.51.100.7' } }, times: 3 }])
  })
})

describe('the rejection log', () => {
  it('writes a bounded number of entries, and how many were dropped', async () => {
    const written: AuditEntry[][] = []
    const log = createRejectionLog({
      write: async (entries) => void written.push(entries),
      onError: fail,
      maxLines: 10,
    })

    for (let n = 0; n < 100_000; n += 1) log.note(rejected(`10.0.${n % 200}.1`))
    await log.close()

    expect(written).toHaveLength(1)
    expect(written[0]).toHaveLength(11)
    expect(written[0]!.at(-1)).toMatchObject({ action: 'audit.drop', times: 95_000 })
    expect(written[0]!.slice(0, 10).map((entry) => entry.times)).toEqual(Array(10).fill(500))
  })

  it('writes periodically', async () => {
    const written: AuditEntry[][] = []
    const log = createRejectionLog({ write: async (entries) => void written.push(entries), onError: fail, everyMs: 10 })

    log.note(rejected('10.0.0.1'))
    await until(() => written.length === 1)
    log.note(rejected('10.0.0.2'))
    await log.close()

    expect(written.map((entries) => entries.length)).toEqual([1, 1])
  })

  it('reports a failed write, and continues', async () => {
    const problems: unknown[] = []
    const written: AuditEntry[][] = []
    const log = createRejectionLog({
      async write(entries) {
        if (problems.length === 0) throw new Error('the database is unavailable')
        written.push(entries)
      },
      onError: (error) => void problems.push(error),
      everyMs: 10,
    })

    log.note(rejected('10.0.0.1'))
    await until(() => problems.length === 1)
    log.note(rejected('10.0.0.2'))
    await log.close()

    expect(problems).toHaveLength(1)
    expect(written[0]).toMatchObject([{ by: { client: { address: '10.0.0.2' } } }])
  })

  it('has no entries for malformed requests', async () => {
    const written: AuditEntry[][] = []
    const log = createRejectionLog({ write: async (entries) => void written.push(entries), onError: fail })

    log.note({ ...rejected('10.0.0.1'), error: new UploadError('OFFSET_MISMATCH', 'Another offset.') })
    await log.close()

    expect(written).toEqual([[]])
  })
})

function rejected(address: string) {
  return { error, actor: null, client: { address, agent: null }, uploadId: null }
}

function fail(error: unknown): never {
  throw error
}
