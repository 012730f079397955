import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { type App, buildApp } from '../../../src/app.ts'
import { loadConfig } from '../../../src/config.ts'
import { readMarker, writeMarker } from '../../../src/core/pairing/marker.ts'
import type { Upload } from '../../../src/core/upload.ts'
import { adoptionsIn } from '../../../src/db/adoptions.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { pairingsIn } from '../../../src/db/pairing.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { adopt } from '../../../src/jobs/adopt.ts'
import { finishUploads } from '../../../src/jobs/finish-uploads.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { openPairing, replacePair } from '../../../src/pairing.ts'
import { localStore } from '../../../src/stores/local.ts'
import { ada, bodyOf } from '../../support/open-engine.ts'
import { freshDatabase } from '../../support/postgres.ts'

const run = promisify(execFile)
const dayMs = 24 * 3600_000
const rounds = 20

it('a database restored from a backup costs no finished file and no byte, whatever is decided', async () => {
  const ground = await openGround()
  const before = await ground.open()
  const bytes = randomBytes(300_000)
  const going = await before.app.engine.create(ada, creation(bytes.length))
  await before.app.engine.append(ada, going.id, chunk(0, bytes.subarray(0, 100_000)))
  const old = await send(before.app, randomBytes(70_000))
  await before.beat()
  await ground.backUp()

  await before.app.engine.append(ada, going.id, chunk(100_000, bytes.subarray(100_000)))
  const young = await send(before.app, randomBytes(90_000))
  await before.beat()
  const files = await ground.files()
  expect(files).toHaveLength(3)
  await before.close()
  await ground.restore()

  // Ten minutes of background work on every clock there may be.
  const after = await ground.open()
  const ready = await after.app.http.inject('/readyz')
  expect([ready.statusCode, ready.json().reason]).toEqual([503, expect.stringMatching(/restored from a backup/)])
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)
  expect(await ground.files()).toEqual(files)
  await expect(after.app.engine.create(ada, creation(5))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

  // A client that goes on finds its file whole.
  const at = await after.app.engine.get(ada, going.id)
  const whole = await after.app.engine.append(ada, going.id, chunk(at.offset, bytes.subarray(at.offset)))
  expect(whole).toMatchObject({ state: 'completed', size: bytes.length })

  const adopted = await after.adopt()
  expect(adopted).toMatchObject({ adopted: 1, strange: 0 })
  await replacePair(after.pairings, after.store, (await after.pairings.find())!)
  await expect.poll(async () => (await after.app.http.inject('/readyz')).statusCode, { timeout: 15_000 }).toBe(200)
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)

  expect(await ground.files()).toEqual(files)
  for (const { id } of [going, old, young])
    expect(await after.app.engine.status(ada, id)).toMatchObject({ state: 'completed' })
  expect((await send(after.app, randomBytes(9))).state).toBe('completed')
})

it('a backup is known to be one when anything was written after it, however soon the server ended', async () => {
  const ground = await openGround()
  const before = await ground.open()
  await send(before.app, randomBytes(20))
  await before.beat()
  await ground.backUp()
  await send(before.app, randomBytes(20))
  const files = await ground.files()
  await before.close()
  await ground.restore()

  const after = await ground.open()
  const ready = await after.app.http.inject('/readyz')

  expect([ready.statusCode, ready.json().reason]).toEqual([503, expect.stringMatching(/restored from a backup/)])
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)
  expect(await ground.files()).toEqual(files)
})

it('a backup after which a killed server did not count any more costs no finished file either', async () => {
  const ground = await openGround()
  const before = await ground.open()
  const bytes = randomBytes(300_000)
  const going = await before.app.engine.create(ada, creation(bytes.length))
  const small = await before.app.engine.create(ada, creation(20))
  await before.app.engine.append(ada, going.id, chunk(0, bytes.subarray(0, 100_000)))
  await before.beat()
  await ground.backUp()
  await before.app.engine.append(ada, going.id, chunk(100_000, bytes.subarray(100_000)))
  await before.app.engine.append(ada, small.id, chunk(0, randomBytes(20)))
  const files = await ground.files()
  const marker = (await readMarker(before.store))!
  await before.close()
  await writeMarker(before.store, marker)
  await ground.restore()

  const after = await ground.open()
  expect((await after.app.http.inject('/readyz')).statusCode).toBe(200)
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)

  expect(await ground.files()).toEqual(files)
  expect(await after.app.engine.status(ada, going.id)).toMatchObject({ state: 'completed', size: bytes.length })
})

it('a database that was lost is made anew of what the objects say of themselves', async () => {
  const ground = await openGround()
  const before = await ground.open()
  const sent = [await send(before.app, randomBytes(50_000)), await send(before.app, randomBytes(200_000))]
  await before.close()
  await ground.empty()

  await expect(ground.open()).rejects.toThrow(/restore adopt/)
  const found = await ground.adoptInto(false)

  expect(found).toMatchObject({ adopted: 2, strange: 0 })
  const after = await ground.open()
  for (const { id, filename, size, createdAt } of sent)
    expect(await after.app.engine.status(ada, id)).toMatchObject({ state: 'completed', filename, size, createdAt })
})

const creation = (size: number) => ({ size, filename: 'päpers "1".txt', contentType: 'text/plain' })

function chunk(offset: number, bytes: Buffer) {
  return { offset, body: bodyOf(bytes), bodySize: null, ending: 'at-size' as const }
}

async function send({ engine }: App, bytes: Buffer): Promise<Upload> {
  const { id } = await engine.create(ada, creation(bytes.length))
  return engine.append(ada, id, chunk(0, bytes))
}

async function openGround() {
  const fresh = await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-restored-'))
  const dump = join(directory, 'dump.sql')
  const root = join(directory, 'files')
  const environment = {
    NODE_ENV: 'production',
    LOG_LEVEL: 'silent',
    JWT_SECRET: randomBytes(32).toString('hex'),
    DATABASE_URL: fresh.url,
    DATA_DIR: directory,
    PART_SIZE: '64KiB',
    CONTENT_CHECK: 'false',
    POLICIES: '{"creator":{"timeToLive":"7d"}}',
  }
  const sql = (text: string) => run('psql', [fresh.url, '-q', '-v', 'ON_ERROR_STOP=1', '-c', text])
  const empty = () =>
    sql(
      'drop schema public cascade; drop schema if exists drizzle cascade; drop schema if exists landfall_jobs cascade; create schema public',
    )
  const closing: (() => Promise<unknown>)[] = []
  onTestFinished(async () => {
    for (const close of closing) await close().catch(() => {})
    await fresh.dispose()
    await rm(directory, { recursive: true, force: true })
  })

  const database = async () => {
    const opened = await openDatabase({ url: fresh.url, dataDir: '', pool: 3, timeoutMs: 5000, onError() {} })
    closing.push(() => opened.close())
    return opened
  }

  async function open() {
    let aheadMs = 0
    const now = () => new Date(Date.now() + aheadMs)
    const app = await buildApp(loadConfig(environment), { now })
    let isClosed = false
    const close = async () => {
      if (!isClosed) await app.http.close()
      isClosed = true
    }
    closing.unshift(close)
    const beside = await database()
    const pairings = pairingsIn(beside)
    const store = localStore({ directory: root, fsync: false })
    const pairing = await openPairing({ pairings, store })
    return {
      app,
      pairings,
      store,
      close,
      beat: () => pairing.advance(),
      /** One round, so much later. */
      async runJobs(laterMs: number) {
        aheadMs = laterMs
        const uploads = uploadRepository(beside)
        await finishUploads(app.engine, uploads).catch(() => {})
        await sweep(app.engine, uploads, now()).catch(() => {})
        await app.engine.drained()
      },
      adopt: () => adoptWith(beside, store, false),
    }
  }

  return {
    open,
    empty,
    backUp: () => run('pg_dump', ['--file', dump, fresh.url]),
    async restore() {
      await empty()
      await run('psql', [fresh.url, '-q', '-v', 'ON_ERROR_STOP=0', '-f', dump])
    },
    async adoptInto(isDry: boolean) {
      const beside = await database()
      await beside.migrate()
      const store = localStore({ directory: root, fsync: false })
      const found = await adoptWith(beside, store, isDry)
      await replacePair(pairingsIn(beside), store, (await readMarker(store))!)
      return found
    },
    /** The finished files. */
    async files() {
      const all = await readdir(root, { recursive: true, withFileTypes: true })
      return all
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((path) => !path.includes('/.landfall/'))
        .sort()
    },
  }
}

function adoptWith(
  database: Awaited<ReturnType<typeof openDatabase>>,
  store: ReturnType<typeof localStore>,
  isDry: boolean,
) {
  const adoptions = adoptionsIn(database)
  return adopt({ store, adoptions, now: () => new Date(), isDry, onProgress() {}, onObject() {} })
}
