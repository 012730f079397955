import { randomBytes } from 'node:crypto'
import { expect, onTestFinished } from 'vitest'
import { type App, buildApp } from '../../../src/app/app.ts'
import { loadConfig } from '../../../src/config.ts'
import { isUploadError } from '../../../src/core/errors/error.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { finishUploads } from '../../../src/jobs/finish-uploads.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { ada, bodyOf } from '../../support/open-engine.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { untilDone } from '../../support/until.ts'

const dayMs = 24 * 3600_000
export const MiB = 1024 ** 2

/** A server in this process with a new database, a completed file and an open upload. */
export interface Environment {
  app: App
  /** Restarts the server, with other settings. @throws what the start throws */
  restart(settings?: Record<string, string>): Promise<void>
  /** Resumes the open upload until it is completed. Retries after STORE_UNAVAILABLE. @throws any other error */
  sendRest(): Promise<void>
  /** The completed file. */
  finished: { id: string; key: string; bytes: Buffer }
  /** The open upload and all of its bytes. */
  open: { id: string; bytes: Buffer }
  /** Runs the periodic jobs once, with the clock `laterMs` ahead. */
  runJobs(laterMs?: number): Promise<void>
  /** `/readyz`. */
  readiness(): Promise<{ status: number; reason: string }>
  /** Writes to the database and restarts the server, which increases the counter in the marker. */
  advance(): Promise<void>
}

/** Starts the server and sends `acknowledged` of the 11 MiB of the open upload. */
export async function openEnvironment(settings: Record<string, string>, acknowledged = 7 * MiB): Promise<Environment> {
  const fresh = await freshDatabase()
  const variables = {
    NODE_ENV: 'production',
    LOG_LEVEL: 'silent',
    JWT_SECRET: randomBytes(32).toString('hex'),
    DATABASE_URL: fresh.url,
    PART_SIZE: '5MiB',
    CONTENT_CHECK: 'false',
    START_TIMEOUT: '1s',
    ...settings,
  }
  let aheadMs = 0
  const now = () => new Date(Date.now() + aheadMs)
  const start = (changes: Record<string, string> = {}) => buildApp(loadConfig({ ...variables, ...changes }), { now })
  let app = await start()
  const database = await openDatabase({ url: fresh.url, dataDir: '', pool: 2, timeoutMs: 5000, onError() {} })
  onTestFinished(async () => {
    await app.http.close().catch(() => {})
    await database.close()
    await fresh.dispose()
  })

  async function create(size: number): Promise<string> {
    return (await app.engine.create(ada, { size, filename: 'a.txt', contentType: 'text/plain' })).id
  }
  const send = (id: string, offset: number, bytes: Buffer) =>
    app.engine.append(ada, id, { offset, body: bodyOf(bytes), bodySize: bytes.length, ending: 'at-size' })

  const file = randomBytes(6 * MiB)
  const { id: finishedId, key } = await send(await create(file.length), 0, file)
  const bytes = randomBytes(11 * MiB)
  const id = await create(bytes.length)
  expect((await send(id, 0, bytes.subarray(0, acknowledged))).offset).toBe(acknowledged)

  /** Throws errors that are worth a retry; resolves with others, or with `null` on success. */
  async function resume(): Promise<unknown> {
    try {
      const { offset } = await app.engine.get(ada, id)
      expect(offset).toBeGreaterThanOrEqual(acknowledged)
      const { state } = await send(id, offset, bytes.subarray(offset))
      return state === 'completed' ? null : new Error(`the upload is ${state}`)
    } catch (error) {
      if (isUploadError(error, 'STORE_UNAVAILABLE')) throw error
      return error
    }
  }

  return {
    get app() {
      return app
    },
    finished: { id: finishedId, key, bytes: file },
    open: { id, bytes },
    async restart(changes) {
      await app.http.close()
      app = await start(changes)
    },
    async sendRest() {
      const problem = await untilDone(resume)
      if (problem !== null) throw problem
    },
    async runJobs(laterMs = 0) {
      aheadMs = laterMs
      const uploads = uploadRepository(database)
      await finishUploads(app.engine, uploads).catch(() => {})
      await sweep(app.engine, uploads, now()).catch(() => {})
      await app.engine.drained()
      aheadMs = 0
    },
    async readiness() {
      const answer = await app.http.inject('/readyz')
      return { status: answer.statusCode, reason: answer.json().reason ?? '' }
    },
    async advance() {
      await database.query({ name: '', text: `insert into audit_log (action, is_allowed) values ('test', true)` }, [])
      await app.http.close()
      app = await start()
    },
  }
}

export interface Disaster {
  /** The reason that `/readyz` answers. */
  reason: RegExp
  /** Repairs the store. */
  repair(): Promise<unknown>
  /** The bytes of both files in the store. */
  contents(): Promise<unknown>
  /** How far the clock advances meanwhile. Uploads expire after seven days. */
  days?: number
}

/**
 * Checks a server whose store fails until `repair`: it is not ready, with the reason; every request is answered with STORE_UNAVAILABLE;
 * nothing is lost, expired or deleted, even with the clock ahead; and afterwards the upload completes with every acknowledged byte.
 */
export async function expectNoLoss(
  environment: Environment,
  { reason, repair, contents, days = 30 }: Disaster,
): Promise<void> {
  await untilDone(async () =>
    expect(await environment.readiness()).toEqual({ status: 503, reason: expect.stringMatching(reason) }),
  )
  const { app, open, finished } = environment
  for (const laterMs of [0, dayMs / 24, days * dayMs]) {
    const { offset } = await app.engine.get(ada, open.id)
    const body = bodyOf(open.bytes.subarray(offset))
    await expect(
      app.engine.append(ada, open.id, { offset, body, bodySize: null, ending: 'at-size' }),
    ).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await environment.runJobs(laterMs)
    expect((await app.engine.get(ada, finished.id)).state).toBe('completed')
    expect((await app.engine.get(ada, open.id)).state).toMatch(/receiving|finishing/)
  }
  await repair()
  await untilDone(async () => expect(await environment.readiness()).toMatchObject({ status: 200 }))
  await environment.sendRest()
  expect(await contents()).toEqual({ finished: finished.bytes, open: open.bytes })
}
