import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { eventOf } from '../../src/core/events.ts'
import type { Locker } from '../../src/core/ports/locks.ts'
import { workFor } from '../../src/core/turns.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import type { Statement } from '../../src/db/statement.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { openLocker } from '../../src/locks/index.ts'
import { testDatabase } from '../support/open-engine.ts'
import { freshDatabase } from '../support/postgres.ts'
import { uploadRecord } from '../support/upload-record.ts'

const allowAll = () => {}

async function createUpload(database: Database): Promise<string> {
  const upload = uploadRecord()
  await uploadRepository(database).insert(upload, eventOf('upload.created', upload))
  return upload.id
}

async function node(database: Database): Promise<Locker> {
  const locker = await openLocker({ database, leaseMs: 60_000, waitMs: 60_000, onError: () => {} })
  onTestFinished(() => locker.close())
  return locker
}

const give = {
  name: 'test-give',
  text: `update upload_sessions set lease_token = $2::uuid, lease_until = now() + $3 * interval '1 millisecond' where id = $1`,
}

it('a lease is asked for again when another request takes it after the release', async () => {
  const database = await testDatabase()
  const id = await createUpload(database)
  const asks: string[] = []
  await database.listen('landfall_lease', (payload) => {
    if (payload !== `ask ${id}`) return
    asks.push(payload)
    // After the first request to release another holder has the lease; after the second it has expired.
    void database.query(give, [id, randomUUID(), asks.length === 1 ? 60_000 : -1])
  })
  await database.query(give, [id, randomUUID(), 60_000])

  await (await node(database)).withLock(id, allowAll, async () => {})

  expect(asks).toHaveLength(2)
})

it.each([
  ['a holder that died', -1, true],
  ['no earlier holder', null, false],
])('the upload of a lease after %s: needs clean-up %s', async (_, leftMs, expected) => {
  const database = await testDatabase()
  const id = await createUpload(database)
  if (leftMs !== null) await database.query(give, [id, randomUUID(), leftMs])

  const needsCleanup = await (await node(database)).withLock(
    id,
    allowAll,
    async (_lock, { upload }) => upload.needsCleanup,
  )

  expect(needsCleanup).toBe(expected)
})

it('a lease keeps other requests from storing anything outside of it', async () => {
  const database = await testDatabase()
  const id = await createUpload(database)
  const markWriting = () => uploadRepository(database).markWriting(id, null)

  expect(await (await node(database)).withLock(id, allowAll, markWriting)).toBe(false)
  expect(await markWriting()).toBe(true)
})

it('a lease whose acquisition ran twice is its own', async () => {
  const database = await testDatabase()
  const id = await createUpload(database)
  let isLost = false
  const runsTwice: Database = {
    ...database,
    async query<T>(statement: Statement, values: unknown[]) {
      if (statement.name === 'lease-acquire' && !isLost) {
        isLost = true
        await database.query(statement, values)
      }
      return database.query<T>(statement, values)
    },
  }

  const needsCleanup = await (await node(runsTwice)).withLock(
    id,
    allowAll,
    async (_lock, { upload }) => upload.needsCleanup,
  )

  expect(isLost).toBe(true)
  expect(needsCleanup).toBe(false)
})

it('five hundred leases share a pool of two connections', async () => {
  const fresh = await freshDatabase({ isMigrated: true })
  onTestFinished(() => fresh.dispose())
  const database = await openDatabase({ url: fresh.url, dataDir: '', pool: 2, timeoutMs: 60_000, onError: () => {} })
  onTestFinished(() => database.close())
  const locker = await node(database)
  const ids = await Promise.all(Array.from({ length: 500 }, () => createUpload(database)))
  const allHeld = Promise.withResolvers<void>()
  let inside = 0

  await Promise.all(
    ids.map((id) =>
      locker.withLock(id, allowAll, async () => {
        inside += 1
        if (inside === 500) allHeld.resolve()
        await allHeld.promise
      }),
    ),
  )

  expect(inside).toBe(500)
})

it('leases of one user that are acquired at the same time share a transaction', async () => {
  const database = await testDatabase()
  const ids = await Promise.all(Array.from({ length: 6 }, () => createUpload(database)))
  const locker = await node(database)
  const transactionOf = async (id: string) => {
    const [row] = await database.query<{ xmin: string }>(findTransaction, [id])
    return row!.xmin
  }
  const acquireAll = () => Promise.all(ids.map((id) => locker.withLock(id, allowAll, () => transactionOf(id))))

  const ofUser = await workFor('ada', acquireAll)
  const ofNoUser = await acquireAll()

  // The first two wait for no other.
  expect(new Set(ofUser).size).toBe(3)
  expect(new Set(ofNoUser).size).toBe(ids.length)
})

const findTransaction = { name: 'test-xmin', text: 'select xmin::text from upload_sessions where id = $1' }
