import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { eventOf } from '../../src/core/events.ts'
import type { InitialLock, Lock, Locker } from '../../src/core/ports/locks.ts'
import type { UploadRepository } from '../../src/core/ports/uploads.ts'
import type { UploadRecord } from '../../src/core/upload.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import type { LeaseTable } from '../../src/locks/lease-table.ts'
import { createLocker, type LockerOptions } from '../../src/locks/locker.ts'
import { memoryLeases } from '../../src/locks/memory.ts'
import { postgresLeases } from '../../src/locks/postgres.ts'
import { memoryUploads } from '../support/memory-uploads.ts'
import { testDatabase } from '../support/open-engine.ts'
import { until } from '../support/until.ts'
import { uploadRecord } from '../support/upload-record.ts'

/** One kind of lock over uploads that it protects. */
interface Kind {
  /** A table for one node: all of them share the leases. */
  table(): LeaseTable
  uploads: Pick<UploadRepository, 'find' | 'save'>
  createUpload(): Promise<string>
  insert(upload: UploadRecord, lock: InitialLock): Promise<unknown>
}

/** How each kind is opened. A new kind is a line here. */
const kinds: Record<string, () => Promise<Kind>> = {
  async postgres() {
    const database = await testDatabase()
    const uploads = uploadRepository(database)
    async function createUpload() {
      const upload = uploadRecord()
      await uploads.insert(upload, eventOf('upload.created', upload))
      return upload.id
    }
    return {
      table: () => postgresLeases(database),
      uploads,
      createUpload,
      insert: (upload, lock) => uploads.insert(upload, undefined, undefined, undefined, lock),
    }
  },
  async memory() {
    const uploads = memoryUploads()
    const table = memoryLeases(uploads.leases)
    return {
      table: () => table,
      uploads,
      createUpload: () => uploads.create(),
      insert: (upload, lock) => uploads.insert(upload, undefined, undefined, undefined, lock),
    }
  },
}

const allowAll = () => {}
const untilAsked = ({ signal }: Lock) =>
  new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve())
    if (signal.aborted) resolve()
  })

/** Holds the lock of `id` until `letGo`, or until it is asked. */
async function hold(locker: Locker, id: string, options: { isDeaf?: boolean } = {}) {
  const [inside, end] = [Promise.withResolvers<Lock>(), Promise.withResolvers<void>()]
  const ended = locker.withLock(id, allowAll, async (lock) => {
    inside.resolve(lock)
    await (options.isDeaf ? end.promise : Promise.race([untilAsked(lock), end.promise]))
  })
  return { lock: await inside.promise, ended, letGo: () => end.resolve() }
}

describe.each(Object.entries(kinds))('a lock of kind %s', (_, open) => {
  async function world() {
    const kind = await open()
    const table = kind.table()
    return {
      ...kind,
      async node(options: Partial<LockerOptions> = {}) {
        const locker = await createLocker(kind.table(), {
          leaseMs: 10_000,
          waitMs: 60_000,
          onError: () => {},
          ...options,
        })
        onTestFinished(() => locker.close())
        return locker
      },
      /** A holder on a node that has died: it renews and releases nothing. */
      dies(id: string, leaseMs: number) {
        const token = randomUUID()
        return until(() => table.acquire({ id, token }, leaseMs))
      },
      expires: ({ token }: Lock, id: string) => table.renew([{ id, token }], -1),
    }
  }

  it('has one holder at a time across nodes', async () => {
    const { node, createUpload } = await world()
    const nodes = [await node(), await node(), await node()]
    const id = await createUpload()
    let inside = 0
    let most = 0

    await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        nodes[index % 3]!.withLock(id, allowAll, async () => {
          inside += 1
          most = Math.max(most, inside)
          await new Promise(setImmediate)
          inside -= 1
        }),
      ),
    )

    expect(most).toBe(1)
  })

  it.each([
    ['another node', false],
    ['the same node', true],
  ])('is released by its holder when a request on %s asks for it', async (_where, isSame) => {
    const { node, createUpload, uploads } = await world()
    const a = await node()
    const b = isSame ? a : await node()
    const id = await createUpload()
    const acquired = Promise.withResolvers<void>()
    const holding = a.withLock(id, allowAll, async (lock, { upload, revision }) => {
      acquired.resolve()
      await untilAsked(lock)
      await uploads.save(upload, { token: lock.token, revision }, { offset: 7 })
    })
    await acquired.promise

    const found = await b.readReleased(id, allowAll)

    expect(found.offset).toBe(7)
    await holding
  })

  it('is released when the work of its holder fails', async () => {
    const { node, createUpload } = await world()
    const [a, b] = [await node(), await node({ waitMs: 0 })]
    const id = await createUpload()

    await expect(
      a.withLock(id, allowAll, async () => {
        throw new Error('broken')
      }),
    ).rejects.toThrow('broken')

    expect(await b.withLock(id, allowAll, async () => 'free')).toBe('free')
    expect(a.held()).toBe(0)
  })

  it('is refused when its holder keeps it for too long', async () => {
    const { node, createUpload } = await world()
    const [a, b] = [await node(), await node({ waitMs: 200 })]
    const id = await createUpload()
    const holding = await hold(a, id, { isDeaf: true })

    await expect(b.withLock(id, allowAll, async () => {})).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })

    await untilAsked(holding.lock)
    expect(holding.lock.signal.reason).toBe('asked')
    holding.letGo()
    await holding.ended
  })

  it('is refused for an upload that does not exist', async () => {
    const { node } = await world()
    const a = await node()

    await expect(a.withLock(randomUUID(), allowAll, async () => {})).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
    await expect(a.waitForRelease(randomUUID(), allowAll)).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
    await expect(a.readReleased(randomUUID(), allowAll)).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
  })

  it('is not requested for a client that does not own the upload', async () => {
    const { node, createUpload } = await world()
    const [a, b] = [await node(), await node()]
    const id = await createUpload()
    const denyAll = () => {
      throw new Error('not yours')
    }
    const holding = await hold(a, id)

    for (const locker of [a, b]) {
      await expect(locker.withLock(id, denyAll, async () => {})).rejects.toThrow('not yours')
      await expect(locker.waitForRelease(id, denyAll)).rejects.toThrow('not yours')
      await expect(locker.readReleased(id, denyAll)).rejects.toThrow('not yours')
    }

    expect(holding.lock.signal.aborted).toBe(false)
    holding.letGo()
    await holding.ended
  })

  it('is taken from a dead holder when it expires, and reported as taken over', async () => {
    const takenOver: string[] = []
    const { node, createUpload, dies } = await world()
    const a = await node({ onTakeover: (id) => takenOver.push(id) })
    const [alive, dead] = [await createUpload(), await createUpload()]
    await dies(dead, 100)

    for (const id of [alive, alive, dead, dead]) await a.withLock(id, allowAll, async () => {})

    expect(takenOver).toEqual([dead])
  })

  it('lets a holder that was taken over write nothing', async () => {
    const { node, createUpload, uploads, expires } = await world()
    const [a, b] = [await node(), await node()]
    const id = await createUpload()
    let isSaved = true

    await a.withLock(id, allowAll, async (lock, { upload, revision }) => {
      await expires(lock, id)
      await b.withLock(id, allowAll, (other, taken) =>
        uploads.save(taken.upload, { token: other.token, revision: taken.revision }, { offset: 10 }),
      )
      isSaved = await uploads.save(upload, { token: lock.token, revision: revision + 1 }, { offset: 99 })
    })

    expect(isSaved).toBe(false)
    expect(await uploads.find(id)).toMatchObject({ offset: 10 })
  })

  it('is not released by a holder that was taken over', async () => {
    const { node, createUpload, expires } = await world()
    const [a, b, c] = [await node(), await node(), await node({ waitMs: 0 })]
    const id = await createUpload()
    const first = await hold(a, id)
    await expires(first.lock, id)
    const second = await hold(b, id, { isDeaf: true })

    first.letGo()
    await first.ended

    await expect(c.withLock(id, allowAll, async () => {})).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    second.letGo()
    await second.ended
  })

  it('is confirmed by a holder that was paused before it writes to the store', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const { node, createUpload, dies, expires } = await world()
    const a = await node()
    const [id, other] = [await createUpload(), await createUpload()]
    const [lost, kept] = [await hold(a, id), await hold(a, other)]

    // The process sleeps: no timer runs, and meanwhile another node acquires one of the two.
    await expires(lost.lock, id)
    await dies(id, 60_000)
    vi.advanceTimersByTime(10_001)

    await expect(lost.lock.confirm()).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(lost.lock.signal.reason).toBe('lost')
    await kept.lock.confirm()
    lost.letGo()
    kept.letGo()
    await Promise.all([lost.ended, kept.ended])
  })

  it('is renewed as long as its holder lives', async () => {
    const { createUpload, table } = await world()
    const renewed: Set<string>[] = []
    const counted: LeaseTable = {
      ...table(),
      async renew(leases, leaseMs) {
        const ids = await table().renew(leases, leaseMs)
        renewed.push(ids)
        return ids
      },
    }
    const a = await createLocker(counted, { leaseMs: 300, waitMs: 1000, onError: () => {} })
    const id = await createUpload()
    const holding = await hold(a, id)

    // Eight renewals are well beyond the first expiry.
    await until(() => renewed.length >= 8)

    expect(renewed.every((ids) => ids.has(id))).toBe(true)
    expect(await until(async () => (await table().find(id))?.isHeld)).toBe(true)
    expect(holding.lock.signal.aborted).toBe(false)
    holding.letGo()
    await holding.ended
    await a.close()
  })

  it('reports an offset that no request changes that waited for the lock', async () => {
    const { createUpload, table } = await world()
    const [acquiring, mayAcquire] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const slow: LeaseTable = {
      ...table(),
      async acquire(lease, leaseMs) {
        acquiring.resolve()
        await mayAcquire.promise
        return table().acquire(lease, leaseMs)
      },
    }
    const a = await createLocker(slow, { leaseMs: 10_000, waitMs: 60_000, onError: () => {} })
    const id = await createUpload()
    const appending = a.withLock(id, allowAll, async ({ signal }) => signal.aborted)
    await acquiring.promise

    const reported = await a.readReleased(id, allowAll)
    mayAcquire.resolve()

    expect(reported.offset).toBe(0)
    expect(await appending).toBe(true)
    await a.close()
  })

  it('is held by the creation of its upload from the first moment', async () => {
    const { node, insert, uploads } = await world()
    const [a, b] = [await node(), await node({ waitMs: 0 })]
    const upload = uploadRecord()
    const tryElsewhere = () => b.withLock(upload.id, allowAll, async () => {})
    /** What another node was told as soon as the row was there, and before the work began. */
    let refused: unknown = null

    await a.withNewLock(
      upload.id,
      async (lock) => {
        await insert(upload, lock)
        refused = await tryElsewhere().catch((error: unknown) => error)
        return upload
      },
      (lock, locked) => uploads.save(locked.upload, { token: lock.token, revision: locked.revision }, { offset: 7 }),
    )

    expect(refused).toMatchObject({ code: 'UPLOAD_LOCKED' })
    expect(await uploads.find(upload.id)).toMatchObject({ offset: 7 })
    expect(a.held()).toBe(0)
    await tryElsewhere()
  })

  it('is released by a creation that another node asks for the upload', async () => {
    const { node, insert, uploads } = await world()
    const [a, b] = [await node(), await node()]
    const upload = uploadRecord()
    const created = Promise.withResolvers<void>()
    const creating = a.withNewLock(
      upload.id,
      async (lock) => {
        await insert(upload, lock)
        return upload
      },
      async (lock, locked) => {
        created.resolve()
        await untilAsked(lock)
        await uploads.save(locked.upload, { token: lock.token, revision: locked.revision }, { offset: 7 })
      },
    )
    await created.promise

    expect(await b.readReleased(upload.id, allowAll)).toMatchObject({ offset: 7 })
    await creating
  })

  it('is not held for an upload whose creation failed', async () => {
    const { node } = await world()
    const a = await node()
    const id = randomUUID()
    const work = vi.fn(async () => {})

    const creating = a.withNewLock(id, () => Promise.reject(new Error('no room')), work)

    await expect(creating).rejects.toThrow('no room')
    expect(work).not.toHaveBeenCalled()
    expect(a.held()).toBe(0)
    await expect(a.withLock(id, allowAll, async () => {})).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
  })

  it('is released before its locker closes', async () => {
    const { node, createUpload } = await world()
    const a = await node()
    const holding = await hold(a, await createUpload())
    let isClosed = false

    const closing = a.close().then(() => (isClosed = true))
    await new Promise(setImmediate)
    expect(isClosed).toBe(false)
    holding.letGo()
    await closing

    expect(a.held()).toBe(0)
  })
})
