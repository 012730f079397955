import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { tailPrefixOf } from '../../src/core/tail-keys.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { finishUploads } from '../../src/jobs/finish-uploads.ts'
import { openQueue } from '../../src/jobs/queue.ts'
import { previewSweep, sweep } from '../../src/jobs/sweep.ts'
import { sweepOrphans } from '../../src/jobs/sweep-orphans.ts'
import { unavailable } from '../support/memory-store.ts'
import { ada, bodyOf, openEngine } from '../support/open-engine.ts'

const creation = { size: 35, filename: 'a.txt', contentType: 'text/plain' }
const chunk = (bytes: Buffer, offset = 0) => ({
  offset,
  body: bodyOf(bytes),
  bodySize: bytes.length,
  ending: 'at-size' as const,
})
const tomorrow = () => new Date(Date.now() + 8 * 24 * 3600 * 1000)

describe('the finisher', () => {
  it('finishes what nobody asks for any more, once', async () => {
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
  it('ends what expired, frees what it used, and touches nothing that is not ours', async () => {
    const { engine, store, database } = await openEngine()
    const { id } = await engine.create(ada, creation)
    await engine.append(ada, id, chunk(randomBytes(33)))
    store.objects.set('other-app/backup.tar', Buffer.from('theirs'))
    store.multiparts.set('theirs', {
      key: 'other-app/backup.tar',
      partSize: 10,
      about: { contentType: 'a/b' },
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

  it('finds the pieces of ended uploads that nobody knows of, and leaves those of others', async () => {
    const { engine, store, database } = await openEngine()
    const uploads = uploadRepository(database)
    const [ended, alive] = [await engine.create(ada, creation), await engine.create(ada, creation)]
    await engine.append(ada, alive.id, chunk(randomBytes(33)))
    const { key } = await engine.append(ada, ended.id, chunk(randomBytes(35)))
    await engine.drained()
    const others = [...store.objects.keys(), `${tailPrefixOf(randomUUID())}piece`, '.landfall/tails/notes.txt']
    for (const other of others.slice(-2)) store.objects.set(other, Buffer.from('not ours'))
    const orphan = `${tailPrefixOf(ended.id)}orphan`
    store.objects.set(orphan, Buffer.from('late'))
    expect(await uploads.findNeedingCleanup(1000)).not.toContain(ended.id)

    expect((await previewSweep(uploads, store, new Date())).orphans).toContain(orphan)
    expect(await sweepOrphans(engine, uploads, store)).toBe(1)

    expect([...store.objects.keys()]).toEqual(others)
    expect(others).toContain(key)
    expect((await engine.status(ada, alive.id)).offset).toBe(33)
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

  it('moves the expiry on with every append: the whole time to live is left, and at most a hundredth more', async () => {
    let now = new Date()
    const { engine } = await openEngine({ now: () => now })
    const { id, expiresAt } = await engine.create(ada, { ...creation, size: 100 })
    const life = expiresAt!.getTime() - now.getTime()
    const lefts: number[] = []
    const moments = new Set<number>()

    for (const offset of [0, 10, 20]) {
      now = new Date(now.getTime() + life / 250)
      const upload = await engine.append(ada, id, { ...chunk(randomBytes(10)), offset })
      lefts.push((upload.expiresAt!.getTime() - now.getTime()) / life)
      moments.add(upload.expiresAt!.getTime())
    }

    for (const left of lefts) {
      expect(left).toBeGreaterThanOrEqual(1)
      expect(left).toBeLessThanOrEqual(1.01)
    }
    // What does not change needs no new entries in indexes.
    expect(moments.size).toBe(1)
  })
})

describe('the queue', () => {
  it('starts and keeps its schedule', async () => {
    const { database } = await openEngine()
    const faults: unknown[] = []
    const queue = await openQueue({ database, takeOverAfter: 60, onError: (error) => faults.push(error) })

    await queue.everyMinute('test-work', async () => {})
    await queue.everyHour('test-rare-work', async () => {})
    const schedules = await database.query<{ name: string; cron: string }>(
      { name: 'test-schedules', text: 'select name, cron from landfall_jobs.schedule order by name' },
      [],
    )
    await queue.close()

    expect(schedules).toEqual([
      { name: 'test-rare-work', cron: '0 * * * *' },
      { name: 'test-work', cron: '* * * * *' },
    ])
    expect(faults).toEqual([])
  })

  it('lets a run that has begun end before it closes', async () => {
    const { database } = await openEngine()
    const onError = (error: unknown) => expect.unreachable(String(error))
    const open = () => openQueue({ database, takeOverAfter: 60, onError })
    const first = await open()
    await first.everyMinute('test-run', async () => {})
    await first.close()
    await database.executeSql(`insert into landfall_jobs.job (name, policy) values ('test-run', 'exclusive')`)
    const created = Promise.withResolvers<void>()
    const rest = Promise.withResolvers<void>()
    const queue = await open()
    await queue.everyMinute('test-run', () => {
      created.resolve()
      return rest.promise
    })
    await created.promise

    const closed = queue.close()
    // What a queue that does not wait does with a run has reached the database by then.
    for (let query = 0; query < 5; query += 1) await database.executeSql('select 1')
    rest.resolve()
    await closed

    const { rows } = await database.executeSql(`select state from landfall_jobs.job where name = 'test-run'`)
    expect(rows).toEqual([{ state: 'completed' }])
  })
})
