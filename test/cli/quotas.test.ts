import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { buildApp } from '../../src/app/app.ts'
import { reconcileQuotas } from '../../src/cli/quotas.ts'
import { loadConfig } from '../../src/config.ts'
import type { Actor } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { findUsageOf } from '../../src/db/usage.ts'
import { bodyOf } from '../support/open-engine.ts'
import { freshDatabase } from '../support/postgres.ts'

const secret = 'a secret that is long enough for HS256'
const ann: Actor = { id: 'ann', role: 'creator', tenant: 'acme', isAdmin: false }
const bob: Actor = { id: 'bob', role: 'creator', tenant: null, isAdmin: false }

it('usage that differs from the uploads is printed, and then corrected', { timeout: 60_000 }, async () => {
  const { config, directory, engine, database } = await openServer()
  const creation = { filename: 'a.txt', contentType: 'text/plain', size: 5 }
  const send = async (actor: Actor) => {
    const { id } = await engine.create(actor, creation)
    return engine.append(actor, id, { offset: 0, body: bodyOf(Buffer.from('hello')), bodySize: 5, ending: 'at-size' })
  }
  const lost = await send(ann)
  await send(ann)
  await engine.create(bob, { ...creation, size: 7 })
  const clean = await reconcileQuotas(config, { isDry: true, checksStore: true })
  await rm(join(directory, 'files', lost.key))
  await database.executeSql(`update upload_usage set reserved_bytes = 99, stored_files = 3 where owner_id = 'bob'`)

  const preview = await reconcileQuotas(config, { isDry: true, checksStore: true })
  const before = await findUsageOf(database, bob)
  const first = await reconcileQuotas(config, { isDry: false, checksStore: true })
  const between = await findUsageOf(database, ann)
  await passLossConfirm(database)
  const second = await reconcileQuotas(config, { isDry: false, checksStore: true })

  expect(clean).toEqual(['nothing was changed'])
  const bobs = ['bob: reservedBytes is 7, but was recorded as 99', 'bob: storedFiles is 0, but was recorded as 3']
  const anns = `ann of acme: file ${lost.id} is not in the store`
  expect(preview).toEqual([anns, ...bobs, 'nothing was changed'])
  expect(before.reservedBytes).toBe(99)
  expect(first).toEqual([
    `${anns}; the upload fails as lost if it is still missing when this command runs again after 5 minutes`,
    ...bobs,
    'corrected the usage of 1 users',
  ])
  expect(between).toMatchObject({ storedBytes: 10, storedFiles: 2 })
  expect(second).toEqual([
    `${anns}; the upload has failed as lost, and no longer counts towards the quota`,
    'corrected the usage of 0 users',
  ])
  expect(await findUsageOf(database, bob)).toMatchObject({ reservedBytes: 7, storedFiles: 0, openUploads: 1 })
  expect(await findUsageOf(database, ann)).toMatchObject({ storedBytes: 5, storedFiles: 1 })
  expect(await reconcileQuotas(config, { isDry: false, checksStore: true })).toEqual(['corrected the usage of 0 users'])
})

it('a file that is there again at a second check is kept, whenever the first was', async () => {
  const { config, directory, engine, database } = await openServer()
  const { id, key } = await engine.create(ann, { filename: 'a.txt', contentType: 'text/plain', size: 0 })
  const [file, away] = [join(directory, 'files', key), join(directory, 'away')]
  const check = () => reconcileQuotas(config, { isDry: false, checksStore: true })

  await rename(file, away)
  await check()
  await rename(away, file)
  expect(await check()).toEqual(['corrected the usage of 0 users'])
  await passLossConfirm(database)
  await rename(file, away)
  const after = await check()

  expect(after[0]).toMatch(/is not in the store; the upload fails as lost if/)
  expect((await engine.status(ann, id)).state).toBe('completed')
})

it('an upload that failed as lost can be restored when its object is there again', async () => {
  const { config, directory, engine, database } = await openServer()
  const { id, key } = await engine.create(ann, { filename: 'a.txt', contentType: 'text/plain', size: 0 })
  const [file, away] = [join(directory, 'files', key), join(directory, 'away')]
  const check = () => reconcileQuotas(config, { isDry: false, checksStore: true })
  await rename(file, away)
  await check()
  await passLossConfirm(database)
  await check()
  await expect(engine.status(ann, id)).rejects.toMatchObject({ code: 'UPLOAD_LOST' })

  await expect(engine.restore(id, bob)).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
  await rename(away, file)
  await engine.restore(id, bob)

  expect((await engine.status(ann, id)).state).toBe('completed')
  expect(await findUsageOf(database, ann)).toMatchObject({ storedFiles: 1 })
})

it('no upload fails as lost while the database is restored from a backup', async () => {
  const { config, directory, engine, database } = await openServer()
  const { id, key } = await engine.create(ann, { filename: 'a.txt', contentType: 'text/plain', size: 0 })
  await rm(join(directory, 'files', key))
  await reconcileQuotas(config, { isDry: false, checksStore: true })
  await passLossConfirm(database)
  await database.executeSql('update store_pairing set counter = counter - 1')

  const lines = await reconcileQuotas(config, { isDry: false, checksStore: true })

  expect(lines).toContainEqual(expect.stringMatching(/no upload was marked as lost: the database was restored/))
  expect((await engine.get(ann, id)).state).toBe('completed')
})

it('users without a usage row get one', { timeout: 60_000 }, async () => {
  const { config, engine, database } = await openServer()
  await engine.create(bob, { filename: 'a.txt', contentType: 'text/plain', size: 7 })
  await database.executeSql('delete from upload_usage')

  const preview = await reconcileQuotas(config, { isDry: true, checksStore: false })
  await reconcileQuotas(config, { isDry: false, checksStore: false })

  expect(preview[0]).toBe('bob: reservedBytes is 7, but was recorded as 0')
  expect(await findUsageOf(database, bob)).toMatchObject({ reservedBytes: 7, openUploads: 1 })
})

/** Makes the first observation as old as LOSS_CONFIRM. */
const passLossConfirm = (database: Database) =>
  database.executeSql(`update upload_sessions set loss_seen_at = loss_seen_at - interval '5 minutes'`)

/** A server with its own database and folder. */
async function openServer() {
  const { url, dispose } = await freshDatabase({ isMigrated: true })
  const directory = await mkdtemp(join(tmpdir(), 'landfall-quotas-'))
  const config = loadConfig({
    NODE_ENV: 'production',
    DATABASE_URL: url,
    DATA_DIR: directory,
    JWT_SECRET: secret,
    LOG_LEVEL: 'silent',
  })
  const { engine, stop } = await buildApp(config)
  const database = await openDatabase({ url, dataDir: '', pool: 2, timeoutMs: 60_000, onError: console.error })
  onTestFinished(async () => {
    await stop()
    await database.close()
    await dispose()
    await rm(directory, { recursive: true })
  })
  return { config, directory, engine, database }
}
