import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { eventOf } from '../../src/core/events.ts'
import type { Lease } from '../../src/core/ports.ts'
import type { UploadRecord } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { type LeaseOptions, leaseLocker } from '../../src/locks/lease.ts'
import { freshDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'

let url = ''
let database: Database

beforeAll(async () => {
  const fresh = await freshDatabase({ isMigrated: true })
  url = fresh.url
  database = await open()
  return async () => {
    await database.close()
    await fresh.dispose()
  }
}, 60_000)

function open(pool = 5): Promise<Database> {
  return openDatabase({ url, dataDir: '', pool, timeoutMs: 60_000, onError: () => {} })
}

/** A node with connections of its own, as another process would have. */
async function node(options: Partial<LeaseOptions> = {}) {
  const mine = await open()
  const locker = await leaseLocker({ database: mine, leaseMs: 10_000, waitMs: 60_000, onError: () => {}, ...options })
  onTestFinished(async () => {
    await locker.close()
    await mine.close()
  })
  return locker
}

async function session(): Promise<string> {
  const id = randomUUID()
  const now = new Date()
  const row: UploadRecord = {
    id,
    ownerId: 'ada',
    tenant: null,
    fingerprint: null,
    agent: null,
    role: 'creator',
    key: id,
    filename: 'a',
    contentType: 'text/plain',
    category: 'other',
    metadata: null,
    size: 100,
    offset: 0,
    partSize: 10,
    state: 'receiving',
    failure: null,
    concat: null,
    digests: null,
    createdAt: now,
    updatedAt: now,
    completedAt: null,
    expiresAt: null,
    maxSize: 1000,
    timeToLiveMs: null,
    multipartId: null,
    prefix: null,
    tail: [],
    etag: null,
    hasNumberedParts: false,
    needsCleanup: false,
    lossSeenAt: null,
    deleteDueAt: null,
  }
  await uploadRepository(database).insert(row, eventOf('upload.created', row))
  return id
}

const anyone = () => {}
const untilAsked = (lease: Lease) =>
  new Promise<void>((resolve) => lease.signal.addEventListener('abort', () => resolve()))

describe('a lease', () => {
  it('is held by one at a time, over nodes', async () => {
    const nodes = await Promise.all([node(), node(), node()])
    const id = await session()
    let inside = 0
    let most = 0

    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        nodes[index % 3]!.withLock(id, anyone, async () => {
          inside += 1
          most = Math.max(most, inside)
          await database.executeSql('select 1')
          inside -= 1
        }),
      ),
    )

    expect(most).toBe(1)
  })

  it('is asked back from a holder on another node, who would else keep it', async () => {
    const [a, b] = [await node(), await node()]
    const id = await session()
    const { promise: held, resolve: hold } = Promise.withResolvers<void>()
    const holding = a.withLock(id, anyone, async (lease) => {
      hold()
      await untilAsked(lease)
      await lease.save({ offset: 7 })
    })
    await held

    const found = await b.waitForRelease(id, anyone)

    expect(found.offset).toBe(7)
    await holding
  })

  it('is asked back from whoever was quicker when the first holder gave it back', async () => {
    const [b, other] = [await node(), await open()]
    onTestFinished(() => other.close())
    const id = await session()
    const asks: string[] = []
    const give = {
      name: 'test-give',
      text: `update upload_sessions set lease_token = $2::uuid,
        lease_until = case when $2::uuid is null then null else now() + interval '1 minute' end where id = $1`,
    }
    await other.listen('landfall_lease', (payload) => {
      if (payload !== `ask ${id}`) return
      asks.push(payload)
      // The first is followed by another holder, the second by nobody.
      void database.query(give, [id, asks.length === 1 ? randomUUID() : null])
    })
    await database.query(give, [id, randomUUID()])
    await b.withLock(id, anyone, async () => {})

    expect(asks).toHaveLength(2)
  })

  it('is told as stolen when it had run out, and not when something was left behind or given back', async () => {
    const stolen: string[] = []
    const a = await node({ onTakeover: (id) => stolen.push(id) })
    const [needsCleanup, dead] = [await session(), await session()]
    await a.withLock(needsCleanup, anyone, async (lease) => lease.save({ needsCleanup: true }))
    await database.query(
      {
        name: 'test-ran-out',
        text: `update upload_sessions set lease_token = $2, lease_until = now() - interval '1 second' where id = $1`,
      },
      [dead, randomUUID()],
    )

    await a.withLock(needsCleanup, anyone, async () => {})
    await a.withLock(dead, anyone, async () => {})
    await a.withLock(dead, anyone, async () => {})

    expect(stolen).toEqual([dead])
  })

  it('is taken from a holder that died, when its time is over, and the session is marked for the sweeper', async () => {
    const [a, b] = [await node({ leaseMs: 400 }), await node()]
    const id = await session()
    // A node that died renews nothing and gives nothing back.
    await database.query(
      {
        name: 'test-die',
        text: `update upload_sessions set lease_token = $2, lease_until = now() + interval '400 milliseconds' where id = $1`,
      },
      [id, randomUUID()],
    )
    const [dead] = await database.query<{ until: string }>(
      { name: 'test-dead', text: 'select lease_until::text as until from upload_sessions where id = $1' },
      [id],
    )
    const isOver = { name: 'test-over', text: 'select now() >= $1::timestamptz as is_over' }

    const found = await b.withLock(id, anyone, async (lease) => ({
      isDirty: lease.upload.needsCleanup,
      rows: await database.query(isOver, [dead!.until]),
    }))

    expect(found).toEqual({ isDirty: true, rows: [{ is_over: true }] })
    void a
  })

  it('lets a holder that was overtaken write nothing', async () => {
    const [a, b] = [await node({ leaseMs: 60_000 }), await node()]
    const id = await session()
    let overtaken: unknown

    await a.withLock(id, anyone, async (lease) => {
      await database.query(
        {
          name: 'test-expire',
          text: `update upload_sessions set lease_until = now() - interval '1 second' where id = $1`,
        },
        [id],
      )
      await b.withLock(id, anyone, (other) => other.save({ offset: 10 }))
      overtaken = await lease
        .save({ offset: 99, state: 'finishing', parts: [{ number: 1, size: 10, etag: 'x' }] })
        .catch((error: unknown) => error)
    })

    expect(overtaken).toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(await uploadRepository(database).find(id)).toMatchObject({ offset: 10, state: 'receiving' })
    expect(await uploadRepository(database).parts(id)).toEqual([])
  })

  it('lets a holder that was overtaken say that it may have left something, after all was cleaned up', async () => {
    const [a, b] = [await node({ leaseMs: 60_000 }), await node()]
    const id = await session()
    const overtake = { name: 'test-overtake', text: `update upload_sessions set lease_until = now() where id = $1` }
    const needsCleanup = async () => (await uploadRepository(database).find(id))!.needsCleanup

    const late = a.withLock(id, anyone, async (lease) => {
      lease.expectOrphan()
      await database.query(overtake, [id])
      await b.withLock(id, anyone, (other) => other.save({ state: 'cancelled' }))
      await uploadRepository(database).markCleanedUp(id)
      expect(await needsCleanup()).toBe(false)
      await lease.save({ offset: 10 })
    })

    await expect(late).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(await needsCleanup()).toBe(true)
  })

  it('keeps everybody from storing anything beside its holder', async () => {
    const { withLock } = await node()
    const id = await session()
    const touch = () => uploadRepository(database).markWriting(id, null)

    expect(await withLock(id, anyone, touch)).toBe(false)
    expect(await touch()).toBe(true)
  })

  it('takes what its holder writes at once in turn, and is not lost over it', async () => {
    const id = await session()
    const { withLock } = await node()

    await withLock(
      id,
      () => {},
      (lease) => Promise.all([lease.save({ contentType: 'text/css' }), lease.save({ size: 50 })]),
    )

    const [row] = await database.query({ name: 'see', text: 'select * from upload_sessions where id = $1' }, [id])
    expect(row).toMatchObject({ content_type: 'text/css', size: 50, lease_token: null })
  })

  it('is confirmed anew by a holder that was paused, before it writes to the store', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const [a, b] = [await node({ leaseMs: 300 }), await node()]
    const id = await session()
    let confirmed: unknown

    await a.withLock(id, anyone, async (lease) => {
      // The process sleeps: no timer runs, and somebody else takes the upload meanwhile.
      await database.query(
        {
          name: 'test-steal',
          text: `update upload_sessions set lease_token = $2, lease_until = now() + interval '1 minute' where id = $1`,
        },
        [id, randomUUID()],
      )
      vi.advanceTimersByTime(350)
      confirmed = await lease.confirm().catch((error: unknown) => error)
    })

    expect(confirmed).toMatchObject({ code: 'UPLOAD_LOCKED' })
    void b
  })

  it('is renewed for as long as its holder lives', async () => {
    const a = await node({ leaseMs: 300 })
    const id = await session()
    const facts = async () => {
      const statement = {
        name: 'test-renewed',
        text: `select lease_token as token, lease_until::text as until, lease_until > now() as holds from upload_sessions where id = $1`,
      }
      return (await database.query<{ token: string; until: string; holds: boolean }>(statement, [id]))[0]!
    }

    await a.withLock(id, anyone, async () => {
      const first = await facts()
      // Well beyond the time that it was taken for.
      const seen = new Set<string>()
      await until(async () => seen.add((await facts()).until).size >= 8)

      await expect.poll(facts).toMatchObject({ token: first.token, holds: true })
    })
  })

  it('is not asked for by somebody who may not have the upload', async () => {
    const a = await node()
    const id = await session()
    let wasAsked = false
    const stranger = () => {
      throw new Error('not yours')
    }

    await a.withLock(id, anyone, async (lease) => {
      lease.signal.addEventListener('abort', () => (wasAsked = true))
      await expect(a.withLock(id, stranger, async () => {})).rejects.toThrow('not yours')
      await expect(a.waitForRelease(id, stranger)).rejects.toThrow('not yours')
    })

    expect(wasAsked).toBe(false)
  })

  it('holds no connection: five hundred at once with a pool of two', async () => {
    const mine = await open(2)
    const locker = await leaseLocker({ database: mine, leaseMs: 60_000, waitMs: 60_000, onError: () => {} })
    const ids = await Promise.all(Array.from({ length: 500 }, session))
    let inside = 0
    let open500 = () => {}
    const all = new Promise<void>((resolve) => (open500 = resolve))

    await Promise.all(
      ids.map((id) =>
        locker.withLock(id, anyone, async (lease) => {
          inside += 1
          if (inside === 500) open500()
          await all
          await lease.save({ offset: 1, release: true })
        }),
      ),
    )

    expect(inside).toBe(500)
    await locker.close()
    await mine.close()
  })
})

describe('a write whose answer was lost', () => {
  it('is known to have happened, and is not made twice', async () => {
    const mine = await open()
    let isLost = true
    const deaf: Database = {
      ...mine,
      async queryOnce(statement, values) {
        const rows = await mine.queryOnce<never>(statement, values)
        if (!isLost) return rows
        isLost = false
        return undefined
      },
    }
    const locker = await leaseLocker({ database: deaf, leaseMs: 1000, waitMs: 1000, onError: () => {} })
    const id = await session()

    await locker.withLock(id, anyone, async (lease) => {
      await lease.save({ offset: 5, event: { type: 'upload.completed', uploadId: id, data: {} } })
      await lease.save({ offset: 6 })
    })

    const events = await database.query(
      { name: 'test-events', text: 'select seq from upload_events where upload_id = $1 order by seq' },
      [id],
    )
    expect(events).toEqual([{ seq: 1 }, { seq: 2 }])
    expect((await uploadRepository(database).find(id))?.offset).toBe(6)
    await locker.close()
    await mine.close()
  })

  it('is not taken for one that another holder made in its place', async () => {
    const mine = await open()
    const reached = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const cutOff: Database = {
      ...mine,
      // Nothing arrives: neither the write nor what would renew the lease.
      async queryOnce() {
        reached.resolve()
        await gate.promise
        return undefined
      },
      query: async (statement, values) =>
        statement.name === 'lease-renew' ? [] : mine.query<never>(statement, values),
    }
    const locker = await leaseLocker({ database: cutOff, leaseMs: 300, waitMs: 1000, onError: () => {} })
    const other = await node()
    const id = await session()

    const held = locker.withLock(id, anyone, (lease) => lease.save({ offset: 50, release: true }))
    await reached.promise
    await other.withLock(id, anyone, (lease) => lease.save({ state: 'cancelled', release: true }))
    gate.resolve()

    await expect(held).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(await uploadRepository(database).find(id)).toMatchObject({ offset: 0, state: 'cancelled' })
    await locker.close()
    await mine.close()
  })

  it('that gave the lease back is known to have happened, too', async () => {
    const mine = await open()
    const deaf: Database = {
      ...mine,
      async queryOnce(statement, values) {
        await mine.queryOnce(statement, values)
        return undefined
      },
    }
    const locker = await leaseLocker({ database: deaf, leaseMs: 1000, waitMs: 1000, onError: () => {} })
    const id = await session()

    await locker.withLock(id, anyone, (lease) => lease.save({ offset: 5, release: true }))

    expect((await uploadRepository(database).find(id))?.offset).toBe(5)
    await locker.close()
    await mine.close()
  })

  it('is taken by a statement that runs again because its answer was lost', async () => {
    const id = await session()
    let isLost = false
    const forgetful: Database = {
      ...database,
      async query<T>(statement: { name: string; text: string }, values: unknown[]) {
        if (statement.name === 'lease-take' && !isLost) {
          isLost = true
          await database.query(statement, values)
        }
        return database.query<T>(statement, values)
      },
    }
    const locker = await leaseLocker({ database: forgetful, leaseMs: 60_000, waitMs: 500, onError: () => {} })

    const needsCleanup = await locker.withLock(
      id,
      () => {},
      async (lease) => lease.upload.needsCleanup,
    )

    expect(isLost).toBe(true)
    expect(needsCleanup).toBe(false)
    await locker.close()
  })
})
