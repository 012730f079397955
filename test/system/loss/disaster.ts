import { randomBytes } from 'node:crypto'
import { expect, onTestFinished } from 'vitest'
import { type App, buildApp } from '../../../src/app.ts'
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

/** A server in this process on a database of its own, with an upload that goes on and a file that is finished. */
export interface Ground {
  app: App
  /** Starts the server anew, with other settings. @throws what a start throws */
  restart(settings?: Record<string, string>): Promise<void>
  /** Goes on with the upload where it stands; `STORE_UNAVAILABLE` is answered with another try, anything else is thrown. */
  bringHome(): Promise<void>
  /** The file that was finished before. */
  finished: { id: string; key: string; bytes: Buffer }
  /** The upload that goes on: where it stands, and all of its bytes. */
  going: { id: string; bytes: Buffer }
  /** Lets a minute of background work be done, `laterMs` later. */
  runJobs(laterMs?: number): Promise<void>
  /** `/readyz`. */
  readiness(): Promise<{ status: number; reason: string }>
  /** Ends the server and starts it again, which counts: the marker is a newer one. */
  count(): Promise<void>
}

/** Opens it, and sends `acknowledged` of 11 MiB of the upload that goes on. */
export async function openGround(settings: Record<string, string>, acknowledged = 7 * MiB): Promise<Ground> {
  const fresh = await freshDatabase()
  const environment = {
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
  const start = (changes: Record<string, string> = {}) => buildApp(loadConfig({ ...environment, ...changes }), { now })
  let app = await start()
  const beside = await openDatabase({ url: fresh.url, dataDir: '', pool: 2, timeoutMs: 5000, onError() {} })
  onTestFinished(async () => {
    await app.http.close().catch(() => {})
    await beside.close()
    await fresh.dispose()
  })

  async function create(size: number): Promise<string> {
    return (await app.engine.create(ada, { size, filename: 'a.txt', contentType: 'text/plain' })).id
  }
  const send = (id: string, offset: number, bytes: Buffer) =>
    app.engine.append(ada, id, { offset, body: bodyOf(bytes), bodySize: bytes.length, ending: 'at-size' })

  const file = randomBytes(6 * MiB)
  const { id: doneId, key } = await send(await create(file.length), 0, file)
  const bytes = randomBytes(11 * MiB)
  const id = await create(bytes.length)
  expect((await send(id, 0, bytes.subarray(0, acknowledged))).offset).toBe(acknowledged)

  /** Throws what another try mends; what it does not, is returned. */
  async function goOn(): Promise<unknown> {
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
    finished: { id: doneId, key, bytes: file },
    going: { id, bytes },
    async restart(changes) {
      await app.http.close()
      app = await start(changes)
    },
    async bringHome() {
      const wrong = await untilDone(goOn)
      if (wrong !== null) throw wrong
    },
    async runJobs(laterMs = 0) {
      aheadMs = laterMs
      const uploads = uploadRepository(beside)
      await finishUploads(app.engine, uploads).catch(() => {})
      await sweep(app.engine, uploads, now()).catch(() => {})
      await app.engine.drained()
      aheadMs = 0
    },
    async readiness() {
      const answer = await app.http.inject('/readyz')
      return { status: answer.statusCode, reason: answer.json().reason ?? '' }
    },
    async count() {
      await beside.query({ name: '', text: `insert into audit_log (action, is_allowed) values ('test', true)` }, [])
      await app.http.close()
      app = await start()
    },
  }
}

export interface Disaster {
  /** What `/readyz` says. */
  reason: RegExp
  heal(): Promise<unknown>
  /** The bytes of both files, as they lie in the store. */
  contents(): Promise<unknown>
  /** How far the clock goes meanwhile. An upload lives for seven. */
  days?: number
}

/**
 * Lives through a store that is wrong until `heal`: not ready with the reason, every request is asked to come again, nothing is lost,
 * expired or deleted on whatever clock, and afterwards everything goes on with every acknowledged byte.
 */
export async function liveThrough(ground: Ground, { reason, heal, contents, days = 30 }: Disaster): Promise<void> {
  await untilDone(async () =>
    expect(await ground.readiness()).toEqual({ status: 503, reason: expect.stringMatching(reason) }),
  )
  const { app, going, finished } = ground
  for (const laterMs of [0, dayMs / 24, days * dayMs]) {
    const { offset } = await app.engine.get(ada, going.id)
    const body = bodyOf(going.bytes.subarray(offset))
    await expect(
      app.engine.append(ada, going.id, { offset, body, bodySize: null, ending: 'at-size' }),
    ).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await ground.runJobs(laterMs)
    expect((await app.engine.get(ada, finished.id)).state).toBe('completed')
    expect((await app.engine.get(ada, going.id)).state).toMatch(/receiving|finishing/)
  }
  await heal()
  await untilDone(async () => expect(await ground.readiness()).toMatchObject({ status: 200 }))
  await ground.bringHome()
  expect(await contents()).toEqual({ finished: finished.bytes, going: going.bytes })
}
