import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { tailPrefixOf } from '../../src/core/tail-keys.ts'
import { isOutage } from '../../src/db/errors.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { finishUploads } from '../../src/jobs/finish-uploads.ts'
import { openQueue } from '../../src/jobs/queue.ts'
import { previewSweep, sweep } from '../../src/jobs/sweep.ts'
import { sweepOrphans } from '../../src/jobs/sweep-orphans.ts'
import { unavailable } from '../support/memory-store.ts'
import { ada, bodyOf, openEngine } from '../support/open-engine.ts'
import { until } from '../support/until.ts'

const creation = { size: 35, filename: 'a.txt', contentType: 'text/plain' }
const chunk = (bytes: Buffer, offset = 0) => ({
  offset,
  body: bodyOf(bytes),
  bodySize: bytes.length,
  ending: 'at-size' as const,
})
const tomorrow = () => new Date(Date.now() + 8 * 24 * 3600 * 1000)

describe('the finisher', () => {
  it('finishes an upload that no request waits for, once', async () => {
    const { engine, store, database } = await openEngine()
    store.fault = (call) => {
      if (call === 'completeMultipart') throw unavailable()
    }
    const { id, key } = await engine.create(ada, creation)
    await expect(engine.append(ada, id, chunk(randomBytes(35)))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await engine.get(ada, id)).state).toBe('finishing')
    store.fault = () => {}
    await database.query(
      { name: 'test-age', text: `update upload_sessions set updated_at = now() - interval '1 minute' where id = $1` },
      [id],
    )

    expect(await finishUploads(engine, uploadRepository(database))).toBeGreaterThanOrEqual(1)
    expect(await finishUploads(engine, uploadRepository(database))).toBe(0)

    expect((await engine.status(ada, id)).state).toBe('completed')
    expect(store.objects.has(key)).toBe(true)
  })
})

describe('the sweeper', () => {
  it('expires uploads, removes what they stored, and leaves foreign objects alone', async () => {
    const { engine, store, database } = await openEngine()
    const { id } = await engine.create(ada, creation)
    await engine.append(ada, id, chunk(randomBytes(33)))
    store.objects.set('other-app/backup.tar', Buffer.from('theirs'))
    store.multiparts.set('theirs', {
      key: 'other-app/backup.tar',
      partSize: 10,
      metadata: { contentType: 'a/b' },
      parts: new Map(),
    })

    const preview = await previewSweep(uploadRepository(database), store, tomorrow())
    const before = store.objects.size
    expect(preview.expired).toContain(id)
    expect(store.objects.size).toBe(before)
    const later = await openEngine({ store, now: tomorrow })
    await sweep(later.engine, uploadRepository(database), tomorrow())

    await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_EXPIRED' })
    expect([...store.objects.keys()]).toEqual(['other-app/backup.tar'])
    expect([...store.multiparts.keys()]).toEqual(['theirs'])
  })

  it('removes tail objects of ended uploads that no row records, and no others', async () => {
    const { engine, store, database } = await openEngine()
    const uploads = uploadRepository(database)
    const [ended, open] = [await engine.create(ada, creation), await engine.create(ada, creation)]
    await engine.append(ada, open.id, chunk(randomBytes(33)))
    const { key } = await engine.append(ada, ended.id, chunk(randomBytes(35)))
    await engine.drained()
    const others = [...store.objects.keys(), `${tailPrefixOf(randomUUID())}tail`, '.landfall/tails/notes.txt']
    for (const other of others.slice(-2)) store.objects.set(other, Buffer.from('not ours'))
    const orphan = `${tailPrefixOf(ended.id)}orphan`
    store.objects.set(orphan, Buffer.from('late'))
    expect(await uploads.findNeedingCleanup(1000)).not.toContain(ended.id)

    expect((await previewSweep(uploads, store, new Date())).orphans).toContain(orphan)
    expect(await sweepOrphans(engine, uploads, store)).toBe(1)

    expect([...store.objects.keys()]).toEqual(others)
    expect(others).toContain(key)
    expect((await engine.status(ada, open.id)).offset).toBe(33)
    expect(await sweepOrphans(engine, uploads, store)).toBe(0)
  })

  it('leaves completed uploads alone', async () => {
    const { engine, store, database } = await openEngine()
    const { id } = await engine.create(ada, creation)
    const { key } = await engine.append(ada, id, chunk(randomBytes(35)))

    const later = await openEngine({ store, now: tomorrow })
    await sweep(later.engine, uploadRepository(database), tomorrow())

    expect(store.objects.has(key)).toBe(true)
    expect((await engine.status(ada, id)).state).toBe('completed')
  })

  it('finds the expiry moved by every append, to the time to live plus at most 1%', async () => {
    let now = new Date()
    const { engine } = await openEngine({ now: () => now })
    const { id, expiresAt } = await engine.create(ada, { ...creation, size: 100 })
    const timeToLive = expiresAt!.getTime() - now.getTime()
    const remainders: number[] = []
    const expiries = new Set<number>()

    for (const offset of [0, 10, 20]) {
      now = new Date(now.getTime() + timeToLive / 250)
      const upload = await engine.append(ada, id, { ...chunk(randomBytes(10)), offset })
      remainders.push((upload.expiresAt!.getTime() - now.getTime()) / timeToLive)
      expiries.add(upload.expiresAt!.getTime())
    }

    for (const remainder of remainders) {
      expect(remainder).toBeGreaterThanOrEqual(1)
      expect(remainder).toBeLessThanOrEqual(1.01)
    }
    // An unchanged expiry needs no new index entries.
    expect(expiries.size).toBe(1)
  })
})

describe('the queue', () => {
  it('starts and stores its schedule', async () => {
    const { database } = await openEngine()
    const errors: unknown[] = []
    const queue = await openQueue({ database, takeOverAfter: 60, onError: (error) => errors.push(error) })

    await queue.schedule({ name: 'test-work', every: 'minute', run: async () => {} })
    await queue.schedule({ name: 'test-rare-work', every: 'hour', run: async () => {} })
    const schedules = await database.query<{ name: string; cron: string }>(
      { name: 'test-schedules', text: 'select name, cron from landfall_jobs.schedule order by name' },
      [],
    )
    await queue.close()

    expect(schedules).toEqual([
      { name: 'test-rare-work', cron: '0 * * * *' },
      { name: 'test-work', cron: '* * * * *' },
    ])
    expect(errors).toEqual([])
  })

  it('reports an outage of the database as one, also from its own workers', async () => {
    const { database } = await openEngine()
    let isAway = false
    const executeSql: typeof database.executeSql = (text, values) =>
      isAway
        ? Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
        : database.executeSql(text, values)
    const errors: unknown[] = []
    const onError = (error: unknown) => errors.push(error)
    const queue = await openQueue({ database: { ...database, executeSql }, takeOverAfter: 60, onError })
    await queue.schedule({ name: 'test-outage', every: 'minute', run: async () => {} })

    isAway = true
    await until(() => errors.length > 0)
    isAway = false
    await queue.close()

    expect(errors.filter((error) => !isOutage(error))).toEqual([])
  })

  it('waits for a running job before it closes', async () => {
    const { database } = await openEngine()
    const onError = (error: unknown) => expect.unreachable(String(error))
    const open = () => openQueue({ database, takeOverAfter: 60, onError })
    const first = await open()
    await first.schedule({ name: 'test-run', every: 'minute', run: async () => {} })
    await first.close()
    await database.executeSql(`insert into landfall_jobs.job (name, policy) values ('test-run', 'exclusive')`)
    const started = Promise.withResolvers<void>()
    const mayEnd = Promise.withResolvers<void>()
    const queue = await open()
    await queue.schedule({
      name: 'test-run',
      every: 'minute',
      run: () => {
        started.resolve()
        return mayEnd.promise
      },
    })
    await started.promise

    const closed = queue.close()
    // By then a queue that does not wait would have marked the job as failed in the database.
    for (let query = 0; query < 5; query += 1) await database.executeSql('select 1')
    mayEnd.resolve()
    await closed

    const { rows } = await database.executeSql(`select state from landfall_jobs.job where name = 'test-run'`)
    expect(rows).toEqual([{ state: 'completed' }])
  })
})
