import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { eventOf } from '../../src/core/events.ts'
import type { Lease } from '../../src/core/ports/locks.ts'
import type { UploadRecord } from '../../src/core/upload.ts'
import { type Database, openDatabase, type Statement } from '../../src/db/open.ts'
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

/** A node with its own connections, like another process. */
async function node(options: Partial<LeaseOptions> = {}) {
  const mine = await open()
  const locker = await leaseLocker({ database: mine, leaseMs: 10_000, waitMs: 60_000, onError: () => {}, ...options })
  onTestFinished(async () => {
    await locker.close()
    await mine.close()
  })
  return locker
}

async function createUpload(): Promise<string> {
  const id = randomUUID()
  const now = new Date()
  const row: UploadRecord = {
    kind: 'sequential',
    isPartial: false,
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
    needsCleanup: false,
    lossSeenAt: null,
    deleteDueAt: null,
  }
  await uploadRepository(database).insert(row, eventOf('upload.created', row))
  return id
}

const allowAll = () => {}
const untilAsked = (lease: Lease) =>
  new Promise<void>((resolve) => lease.signal.addEventListener('abort', () => resolve()))

describe('a lease', () => {
  it('has one holder at a time across nodes', async () => {
    const nodes = await Promise.all([node(), node(), node()])
    const id = await createUpload()
    let inside = 0
    let most = 0

    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        nodes[index % 3]!.withLock(id, allowAll, async () => {
          inside += 1
          most = Math.max(most, inside)
          await database.executeSql('select 1')
          inside -= 1
        }),
      ),
    )

    expect(most).toBe(1)
  })

  it('is released by a holder on another node when a request asks for it', async () => {
    const [a, b] = [await node(), await node()]
    const id = await createUpload()
    const { promise: acquired, resolve: markAcquired } = Promise.withResolvers<void>()
    const holding = a.withLock(id, allowAll, async (lease) => {
      markAcquired()
      await untilAsked(lease)
      await lease.save({ offset: 7 })
    })
    await acquired

    const found = await b.waitForRelease(id, allowAll)

    expect(found.offset).toBe(7)
    await holding
  })

  it('is asked for again when another request acquires it after the first release', async () => {
    const [b, other] = [await node(), await open()]
    onTestFinished(() => other.close())
    const id = await createUpload()
    const asks: string[] = []
    const give = {
      name: 'test-give',
      text: `update upload_sessions set lease_token = $2::uuid,
        lease_until = case when $2::uuid is null then null else now() + interval '1 minute' end where id = $1`,
    }
    await other.listen('landfall_lease', (payload) => {
      if (payload !== `ask ${id}`) return
      asks.push(payload)
      // After the first request to release another holder has the lease; after the second it is free.
      void database.query(give, [id, asks.length === 1 ? randomUUID() : null])
    })
    await database.query(give, [id, randomUUID()])
    await b.withLock(id, allowAll, async () => {})

    expect(asks).toHaveLength(2)
  })

  it('is reported as taken over only when it had expired', async () => {
    const takenOver: string[] = []
    const a = await node({ onTakeover: (id) => takenOver.push(id) })
    const [needsCleanup, dead] = [await createUpload(), await createUpload()]
    await a.withLock(needsCleanup, allowAll, async (lease) => lease.save({ needsCleanup: true }))
    await database.query(
      {
        name: 'test-ran-out',
        text: `update upload_sessions set lease_token = $2, lease_until = now() - interval '1 second' where id = $1`,
      },
      [dead, randomUUID()],
    )

    await a.withLock(needsCleanup, allowAll, async () => {})
    await a.withLock(dead, allowAll, async () => {})
    await a.withLock(dead, allowAll, async () => {})

    expect(takenOver).toEqual([dead])
  })

  it('is taken from a dead holder when it expires, and the upload needs a clean-up', async () => {
    const [a, b] = [await node({ leaseMs: 400 }), await node()]
    const id = await createUpload()
    // A node that died renews and releases nothing.
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

    const found = await b.withLock(id, allowAll, async (lease) => ({
      needsCleanup: lease.upload.needsCleanup,
      rows: await database.query(isOver, [dead!.until]),
    }))

    expect(found).toEqual({ needsCleanup: true, rows: [{ is_over: true }] })
    void a
  })

  it('lets a holder that was taken over write nothing', async () => {
    const [a, b] = [await node({ leaseMs: 60_000 }), await node()]
    const id = await createUpload()
    let overtaken: unknown

    await a.withLock(id, allowAll, async (lease) => {
      await database.query(
        {
          name: 'test-expire',
          text: `update upload_sessions set lease_until = now() - interval '1 second' where id = $1`,
        },
        [id],
      )
      await b.withLock(id, allowAll, (other) => other.save({ offset: 10 }))
      overtaken = await lease
        .save({ offset: 99, state: 'finishing', parts: [{ number: 1, size: 10, etag: 'x' }] })
        .catch((error: unknown) => error)
    })

    expect(overtaken).toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(await uploadRepository(database).find(id)).toMatchObject({ offset: 10, state: 'receiving' })
    expect(await uploadRepository(database).parts(id)).toEqual([])
  })

  it('records orphans of a holder that was taken over after the clean-up', async () => {
    const [a, b] = [await node({ leaseMs: 60_000 }), await node()]
    const id = await createUpload()
    const overtake = { name: 'test-overtake', text: `update upload_sessions set lease_until = now() where id = $1` }
    const needsCleanup = async () => (await uploadRepository(database).find(id))!.needsCleanup

    const late = a.withLock(id, allowAll, async (lease) => {
      await lease.ledger.writing('tail', async () => {})
      await database.query(overtake, [id])
      await b.withLock(id, allowAll, (other) => other.save({ state: 'cancelled' }))
      await uploadRepository(database).markCleanedUp(id)
      expect(await needsCleanup()).toBe(false)
      await lease.save({ offset: 10 })
    })

    await expect(late).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(await needsCleanup()).toBe(true)
  })

  it.each([
    ['needs clean-up, when the save that releases the lease does not name an object', [], true],
    ['is clean, when the save that releases the lease names it', [{ key: 'tail', size: 1 }], false],
  ])('%s', async (_, tail, isNeeded) => {
    const { withLock } = await node()
    const id = await createUpload()

    await withLock(id, allowAll, async (lease) => {
      await lease.ledger.writing('tail', async () => {})
      await lease.save({ offset: 1, tail, release: true })
    })

    expect(await uploadRepository(database).find(id)).toMatchObject({ offset: 1, needsCleanup: isNeeded })
  })

  it('needs clean-up, when the save that may have named an object failed', async () => {
    const failing: Database = {
      ...database,
      queryOnce: () => Promise.reject(new Error('the database is away')),
    }
    const locker = await leaseLocker({ database: failing, leaseMs: 60_000, waitMs: 500, onError: () => {} })
    const id = await createUpload()

    const failed = locker.withLock(id, allowAll, async (lease) => {
      await lease.ledger.writing('tail', async () => {})
      await lease.save({ offset: 1, tail: [{ key: 'tail', size: 1 }], release: true })
    })

    await expect(failed).rejects.toThrow('the database is away')
    expect(await uploadRepository(database).find(id)).toMatchObject({ offset: 0, needsCleanup: true })
    await locker.close()
  })

  it('keeps every other request from storing anything outside of it', async () => {
    const { withLock } = await node()
    const id = await createUpload()
    const markWriting = () => uploadRepository(database).markWriting(id, null)

    expect(await withLock(id, allowAll, markWriting)).toBe(false)
    expect(await markWriting()).toBe(true)
  })

  it('runs concurrent saves of its holder one after another', async () => {
    const id = await createUpload()
    const { withLock } = await node()

    await withLock(id, allowAll, (lease) =>
      Promise.all([lease.save({ contentType: 'text/css' }), lease.save({ size: 50 })]),
    )

    const [row] = await database.query({ name: 'test-row', text: 'select * from upload_sessions where id = $1' }, [id])
    expect(row).toMatchObject({ content_type: 'text/css', size: 50, lease_token: null })
  })

  it('is confirmed by a holder that was paused before it writes to the store', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const [a, b] = [await node({ leaseMs: 300 }), await node()]
    const id = await createUpload()
    let confirmed: unknown

    await a.withLock(id, allowAll, async (lease) => {
      // The process sleeps: no timer runs, and another node acquires the lease.
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

  it('is renewed as long as its holder lives', async () => {
    const a = await node({ leaseMs: 300 })
    const id = await createUpload()
    const leaseOf = async () => {
      const statement = {
        name: 'test-renewed',
        text: `select lease_token as token, lease_until::text as until, lease_until > now() as "isValid" from upload_sessions where id = $1`,
      }
      return (await database.query<{ token: string; until: string; isValid: boolean }>(statement, [id]))[0]!
    }

    await a.withLock(id, allowAll, async () => {
      const first = await leaseOf()
      // Eight expiries are well beyond the first one.
      const expiries = new Set<string>()
      await until(async () => expiries.add((await leaseOf()).until).size >= 8)

      await expect.poll(leaseOf).toMatchObject({ token: first.token, isValid: true })
    })
  })

  it('is useless to a body that waited for it when the offset was reported', async () => {
    const id = await createUpload()
    const { promise: mayAcquire, resolve: letAcquire } = Promise.withResolvers<void>()
    const { promise: acquiring, resolve: markAcquiring } = Promise.withResolvers<void>()
    const mine = await open()
    onTestFinished(() => mine.close())
    const slow: Database = {
      ...mine,
      async query<Row>(statement: Statement, values: unknown[]) {
        if (statement.name === 'lease-acquire') {
          markAcquiring()
          await mayAcquire
        }
        return mine.query<Row>(statement, values)
      },
    }
    const locker = await node({ database: slow })
    const appending = locker.withLock(id, allowAll, async ({ signal }) => signal.aborted)
    await acquiring

    const reported = await locker.waitForRelease(id, allowAll)
    letAcquire()

    expect(reported.offset).toBe(0)
    expect(await appending).toBe(true)
  })

  it('is not requested for a client that does not own the upload', async () => {
    const a = await node()
    const id = await createUpload()
    let wasAsked = false
    const denyAll = () => {
      throw new Error('not yours')
    }

    await a.withLock(id, allowAll, async (lease) => {
      lease.signal.addEventListener('abort', () => (wasAsked = true))
      await expect(a.withLock(id, denyAll, async () => {})).rejects.toThrow('not yours')
      await expect(a.waitForRelease(id, denyAll)).rejects.toThrow('not yours')
    })

    expect(wasAsked).toBe(false)
  })

  it('holds no connection: five hundred leases share a pool of two', async () => {
    const mine = await open(2)
    const locker = await leaseLocker({ database: mine, leaseMs: 60_000, waitMs: 60_000, onError: () => {} })
    const ids = await Promise.all(Array.from({ length: 500 }, createUpload))
    let inside = 0
    let markAllHeld = () => {}
    const allHeld = new Promise<void>((resolve) => (markAllHeld = resolve))

    await Promise.all(
      ids.map((id) =>
        locker.withLock(id, allowAll, async (lease) => {
          inside += 1
          if (inside === 500) markAllHeld()
          await allHeld
          await lease.save({ offset: 1, release: true })
        }),
      ),
    )

    expect(inside).toBe(500)
    await locker.close()
    await mine.close()
  })
})

describe('a save whose answer was lost', () => {
  it('is recognized by its revision and not made twice', async () => {
    const mine = await open()
    let isLost = true
    const losesAnswers: Database = {
      ...mine,
      async queryOnce(statement, values) {
        const rows = await mine.queryOnce<never>(statement, values)
        if (!isLost) return rows
        isLost = false
        return undefined
      },
    }
    const locker = await leaseLocker({ database: losesAnswers, leaseMs: 1000, waitMs: 1000, onError: () => {} })
    const id = await createUpload()

    await locker.withLock(id, allowAll, async (lease) => {
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

  it('is not confused with a save of the next holder', async () => {
    const mine = await open()
    const reached = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const cutOff: Database = {
      ...mine,
      // Neither the save nor a renewal of the lease reaches the database.
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
    const id = await createUpload()

    const saving = locker.withLock(id, allowAll, (lease) => lease.save({ offset: 50, release: true }))
    await reached.promise
    await other.withLock(id, allowAll, (lease) => lease.save({ state: 'cancelled', release: true }))
    gate.resolve()

    await expect(saving).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(await uploadRepository(database).find(id)).toMatchObject({ offset: 0, state: 'cancelled' })
    await locker.close()
    await mine.close()
  })

  it('is recognized when it also released the lease', async () => {
    const mine = await open()
    const losesAnswers: Database = {
      ...mine,
      async queryOnce(statement, values) {
        await mine.queryOnce(statement, values)
        return undefined
      },
    }
    const locker = await leaseLocker({ database: losesAnswers, leaseMs: 1000, waitMs: 1000, onError: () => {} })
    const id = await createUpload()

    await locker.withLock(id, allowAll, (lease) => lease.save({ offset: 5, release: true }))

    expect((await uploadRepository(database).find(id))?.offset).toBe(5)
    await locker.close()
    await mine.close()
  })

  it('does not keep its own lease from a repeated acquisition', async () => {
    const id = await createUpload()
    let isLost = false
    const runsTwice: Database = {
      ...database,
      async query<T>(statement: { name: string; text: string }, values: unknown[]) {
        if (statement.name === 'lease-acquire' && !isLost) {
          isLost = true
          await database.query(statement, values)
        }
        return database.query<T>(statement, values)
      },
    }
    const locker = await leaseLocker({ database: runsTwice, leaseMs: 60_000, waitMs: 500, onError: () => {} })

    const needsCleanup = await locker.withLock(id, allowAll, async (lease) => lease.upload.needsCleanup)

    expect(isLost).toBe(true)
    expect(needsCleanup).toBe(false)
    await locker.close()
  })
})
