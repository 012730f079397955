import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { newUpload } from '../../src/core/create/new-upload.ts'
import type { EngineSettings } from '../../src/core/engine-context.ts'
import { eventOf } from '../../src/core/events.ts'
import { defaultKeyTemplate } from '../../src/core/object-key.ts'
import { defaultPolicies, effectivePolicy } from '../../src/core/policy/policy.ts'
import type { PartLock, UploadRepository } from '../../src/core/ports/uploads.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { openLocker } from '../../src/locks/index.ts'
import { memoryStore } from '../support/memory-store.ts'
import { ada } from '../support/open-engine.ts'
import { freshDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'

let database: Database
let uploads: UploadRepository

beforeAll(async () => {
  const fresh = await freshDatabase({ isMigrated: true })
  database = await openDatabase({ url: fresh.url, dataDir: '', pool: 10, timeoutMs: 60_000, onError: () => {} })
  uploads = uploadRepository(database)
  return async () => {
    await database.close()
    await fresh.dispose()
  }
}, 60_000)

async function createUpload(): Promise<string> {
  const creation = { size: 1000, filename: 'a.bin', contentType: 'application/octet-stream', kind: 'parted' as const }
  const { policy } = effectivePolicy(defaultPolicies, ada)!
  const settings = { keyTemplate: defaultKeyTemplate, chunkSize: 10 } as EngineSettings
  const context = { settings, store: memoryStore(), rules: [], content: null, newId: randomUUID, now: () => new Date() }
  const upload = newUpload(context, ada, creation, policy, 10)
  await uploads.insert(upload, eventOf('upload.created', upload))
  return upload.id
}

const lock = (number: number, more: Partial<PartLock> = {}): PartLock => ({
  number,
  token: randomUUID(),
  ms: 10_000,
  expiresAt: null,
  replaces: true,
  ...more,
})
async function countPartLocks(id: string): Promise<number> {
  const statement = {
    name: 'test-part-locks',
    text: 'select count(*)::int as locks from upload_parts where upload_id = $1 and locked_until >= now()',
  }
  return (await database.query<{ locks: number }>(statement, [id]))[0]!.locks
}
const receipt = (number: number, etag: string) => ({ number, size: 10, etag, crc32: 0xffff_ffff - number })
const locker = () => openLocker({ database, leaseMs: 1000, waitMs: 3000, onError: () => {} })

describe('a part lock', () => {
  it('is acquired by one of many requests', async () => {
    const id = await createUpload()

    const answers = await Promise.all(Array.from({ length: 40 }, () => uploads.acquirePartLock(id, lock(1))))

    expect(answers.filter((answer) => answer === 'mine')).toHaveLength(1)
    expect(answers.filter((answer) => answer === 'taken')).toHaveLength(39)
  })

  it('does not lock other parts', async () => {
    const id = await createUpload()

    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => uploads.acquirePartLock(id, lock(index + 1))),
    )

    expect(new Set(answers)).toEqual(new Set(['mine']))
    expect(await countPartLocks(id)).toBe(40)
  })

  it('is never acquired while a lease is held', async () => {
    const leases = await locker()
    for (let round = 0; round < 20; round += 1) {
      const id = await createUpload()
      let locksUnderLease = -1
      const answered = Promise.withResolvers<unknown>()
      const underLease = leases.withLock(
        id,
        () => {},
        async () => {
          locksUnderLease = await countPartLocks(id)
          await answered.promise
          expect(await countPartLocks(id)).toBe(locksUnderLease)
        },
      )
      const answers = await Promise.all([1, 2, 3].map((number) => uploads.acquirePartLock(id, lock(number))))
      answered.resolve(answers)
      await underLease

      for (const answer of answers) expect(['mine', 'closed']).toContain(answer)
      expect(locksUnderLease).toBe(answers.filter((answer) => answer === 'mine').length)
    }
    await leases.close()
  })

  it('removes the existing receipt until the part is recorded again', async () => {
    const id = await createUpload()
    const first = lock(1)
    await uploads.acquirePartLock(id, first)
    await uploads.recordPart(id, receipt(1, 'a'), first.token)

    expect(await uploads.acquirePartLock(id, lock(1, { replaces: false }))).toEqual(receipt(1, 'a'))
    const second = lock(1)
    expect(await uploads.acquirePartLock(id, second)).toBe('mine')
    expect(await uploads.parts(id)).toEqual([])
    expect(await uploads.recordPart(id, receipt(1, 'b'), second.token)).toBe(true)
    expect(await uploads.parts(id)).toEqual([receipt(1, 'b')])
  })

  it('that expired is acquired by another request, and then records nothing', async () => {
    const id = await createUpload()
    const late = lock(1, { ms: 30 })
    await uploads.acquirePartLock(id, late)
    const next = lock(1)
    await until(async () => (await uploads.acquirePartLock(id, next)) === 'mine')

    expect(await uploads.renewPartLock(id, late)).toBe(false)
    expect(await uploads.recordPart(id, receipt(1, 'late'), late.token)).toBe(false)
    await uploads.releasePartLock(id, late)
    expect(await uploads.recordPart(id, receipt(1, 'next'), next.token)).toBe(true)
  })

  it('may be acquired, and its part recorded, again after a lost answer', async () => {
    const id = await createUpload()
    const mine = lock(1, { replaces: false })

    expect([await uploads.acquirePartLock(id, mine), await uploads.acquirePartLock(id, mine)]).toEqual(['mine', 'mine'])
    const records = [receipt(1, 'a'), receipt(1, 'a')].map((part) => uploads.recordPart(id, part, mine.token))
    expect(await Promise.all(records)).toEqual([true, true])
    await uploads.releasePartLock(id, mine)
    expect(await uploads.parts(id)).toEqual([receipt(1, 'a')])
  })

  it('is not given for an ended upload, and an earlier one records nothing', async () => {
    const leases = await locker()
    const id = await createUpload()
    const mine = lock(1)
    await uploads.acquirePartLock(id, mine)
    await leases.withLock(
      id,
      () => {},
      ({ token }, { upload, revision }) =>
        uploads.save(upload, { token, revision }, { state: 'cancelled', release: true }),
    )

    expect(await uploads.recordPart(id, receipt(1, 'a'), mine.token)).toBe(false)
    expect(await uploads.acquirePartLock(id, lock(2))).toBe('closed')
    expect(await uploads.markWriting(id, null)).toBe(false)
    await leases.close()
  })

  it('ends when a lease holder removes or replaces receipts', async () => {
    const leases = await locker()
    const id = await createUpload()
    for (const number of [1, 2, 3]) {
      const mine = lock(number)
      await uploads.acquirePartLock(id, mine)
      if (number < 3) await uploads.recordPart(id, receipt(number, 'part'), mine.token)
    }

    await leases.withLock(
      id,
      () => {},
      ({ token }, { upload, revision }) =>
        uploads.save(upload, { token, revision }, { forget: [1], parts: [receipt(3, 'appended')] }),
    )

    expect(await uploads.parts(id)).toEqual([receipt(2, 'part'), receipt(3, 'appended')])
    expect(await countPartLocks(id)).toBe(0)
    await leases.close()
  })
})
