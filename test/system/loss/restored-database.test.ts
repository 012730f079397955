import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { type App, buildApp } from '../../../src/app/app.ts'
import { replacePair } from '../../../src/app/pairing/pair.ts'
import { openPairing } from '../../../src/app/pairing/pairing.ts'
import { loadConfig } from '../../../src/config.ts'
import { readMarker, writeMarker } from '../../../src/core/pairing/marker.ts'
import type { Upload } from '../../../src/core/upload.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { pairingsIn } from '../../../src/db/pairing.ts'
import { adoptionsIn } from '../../../src/db/uploads/adopt.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { adopt } from '../../../src/jobs/adopt.ts'
import { finishUploads } from '../../../src/jobs/finish-uploads.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { localStore } from '../../../src/stores/local.ts'
import { ada, bodyOf } from '../../support/open-engine.ts'
import { freshDatabase } from '../../support/postgres.ts'

const run = promisify(execFile)
const dayMs = 24 * 3600_000
const rounds = 20

it('a database restored from a backup loses no completed file and no byte', async () => {
  const environment = await openEnvironment()
  const before = await environment.open()
  const bytes = randomBytes(300_000)
  const resumed = await before.app.engine.create(ada, creation(bytes.length))
  await before.app.engine.append(ada, resumed.id, chunk(0, bytes.subarray(0, 100_000)))
  const backedUp = await send(before.app, randomBytes(70_000))
  await before.advance()
  await environment.backUp()

  await before.app.engine.append(ada, resumed.id, chunk(100_000, bytes.subarray(100_000)))
  const later = await send(before.app, randomBytes(90_000))
  await before.advance()
  const files = await environment.files()
  expect(files).toHaveLength(3)
  await before.close()
  await environment.restore()

  // The periodic jobs run with the clock up to 20 days ahead.
  const after = await environment.open()
  const ready = await after.app.http.inject('/readyz')
  expect([ready.statusCode, ready.json().reason]).toEqual([503, expect.stringMatching(/restored from a backup/)])
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)
  expect(await environment.files()).toEqual(files)
  await expect(after.app.engine.create(ada, creation(5))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

  // A client that resumes finds its file completed.
  const at = await after.app.engine.get(ada, resumed.id)
  const whole = await after.app.engine.append(ada, resumed.id, chunk(at.offset, bytes.subarray(at.offset)))
  expect(whole).toMatchObject({ state: 'completed', size: bytes.length })

  const adopted = await after.adopt()
  expect(adopted).toMatchObject({ adopted: 1, unknown: 0 })
  await replacePair(after.pairings, after.store, (await after.pairings.find())!)
  await expect.poll(async () => (await after.app.http.inject('/readyz')).statusCode, { timeout: 15_000 }).toBe(200)
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)

  expect(await environment.files()).toEqual(files)
  for (const { id } of [resumed, backedUp, later])
    expect(await after.app.engine.status(ada, id)).toMatchObject({ state: 'completed' })
  expect((await send(after.app, randomBytes(9))).state).toBe('completed')
})

it('a restored backup is detected when anything was written after it', async () => {
  const environment = await openEnvironment()
  const before = await environment.open()
  await send(before.app, randomBytes(20))
  await before.advance()
  await environment.backUp()
  await send(before.app, randomBytes(20))
  const files = await environment.files()
  await before.close()
  await environment.restore()

  const after = await environment.open()
  const ready = await after.app.http.inject('/readyz')

  expect([ready.statusCode, ready.json().reason]).toEqual([503, expect.stringMatching(/restored from a backup/)])
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)
  expect(await environment.files()).toEqual(files)
})

it('a restored backup that cannot be detected loses no completed file either', async () => {
  const environment = await openEnvironment()
  const before = await environment.open()
  const bytes = randomBytes(300_000)
  const resumed = await before.app.engine.create(ada, creation(bytes.length))
  const small = await before.app.engine.create(ada, creation(20))
  await before.app.engine.append(ada, resumed.id, chunk(0, bytes.subarray(0, 100_000)))
  await before.advance()
  await environment.backUp()
  await before.app.engine.append(ada, resumed.id, chunk(100_000, bytes.subarray(100_000)))
  await before.app.engine.append(ada, small.id, chunk(0, randomBytes(20)))
  const files = await environment.files()
  const marker = (await readMarker(before.store))!
  await before.close()
  await writeMarker(before.store, marker)
  await environment.restore()

  const after = await environment.open()
  expect((await after.app.http.inject('/readyz')).statusCode).toBe(200)
  for (let round = 0; round < rounds; round += 1) await after.runJobs(round * dayMs)

  expect(await environment.files()).toEqual(files)
  expect(await after.app.engine.status(ada, resumed.id)).toMatchObject({ state: 'completed', size: bytes.length })
})

it('a lost database is rebuilt from the metadata of the objects', async () => {
  const environment = await openEnvironment()
  const before = await environment.open()
  const sent = [await send(before.app, randomBytes(50_000)), await send(before.app, randomBytes(200_000))]
  await before.close()
  await environment.empty()

  await expect(environment.open()).rejects.toThrow(/restore adopt/)
  const found = await environment.adoptInto(false)

  expect(found).toMatchObject({ adopted: 2, unknown: 0 })
  const after = await environment.open()
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

async function openEnvironment() {
  const fresh = await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-restored-'))
  const dump = join(directory, 'dump.sql')
  const root = join(directory, 'files')
  const variables = {
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
    const app = await buildApp(loadConfig(variables), { now })
    let isClosed = false
    const close = async () => {
      if (!isClosed) await app.http.close()
      isClosed = true
    }
    closing.unshift(close)
    const direct = await database()
    const pairings = pairingsIn(direct)
    const store = localStore({ directory: root, fsync: false })
    const pairing = await openPairing({ pairings, store })
    return {
      app,
      pairings,
      store,
      close,
      advance: () => pairing.advance(),
      /** Runs the periodic jobs once, with the clock `laterMs` ahead. */
      async runJobs(laterMs: number) {
        aheadMs = laterMs
        const uploads = uploadRepository(direct)
        await finishUploads(app.engine, uploads).catch(() => {})
        await sweep(app.engine, uploads, now()).catch(() => {})
        await app.engine.drained()
      },
      adopt: () => adoptWith(direct, store, false),
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
      const direct = await database()
      await direct.migrate()
      const store = localStore({ directory: root, fsync: false })
      const found = await adoptWith(direct, store, isDry)
      await replacePair(pairingsIn(direct), store, (await readMarker(store))!)
      return found
    },
    /** The paths of the completed files. */
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
