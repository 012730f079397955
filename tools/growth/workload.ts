import { randomUUID } from 'node:crypto'
import { buildApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import { userOf } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { openFeed } from '../../src/features/live-events/feed.ts'
import { backfillSteps } from '../../src/features/steps/backfill.ts'
import { recoverSteps, takeStep } from '../../src/features/steps/rows.ts'
import { oldestDue, takeDeliveries } from '../../src/features/webhooks/delivery-rows.ts'
import { fanOut } from '../../src/features/webhooks/fan-out.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { finishUploads } from '../../src/jobs/finish-uploads.ts'
import { createOutbox, type DeliveredEvent } from '../../src/jobs/outbox.ts'
import { sweep } from '../../src/jobs/sweep.ts'
import { rows } from '../../test/identity/routes.ts'
import type { MemoryStore } from '../../test/support/memory-store.ts'
import { recorded, type SentStatement } from './statements.ts'

const secret = 'a secret that is long enough for HS256'

/**
 * Runs a server against the database at `url` and uses every feature that sends a statement: every route once, concatenation, jobs,
 * metrics and live events. Returns the statements.
 * @param ownerId the owner of the uploads
 * @param store the store that is paired with the database
 */
export async function sendEveryStatement(
  url: string,
  ownerId: string,
  store: MemoryStore,
): Promise<Map<string, SentStatement>> {
  const opened = await openDatabase({ url, dataDir: '', pool: 4, timeoutMs: 300_000, onError: console.error })
  const { database, sent } = recorded(opened)
  const config = loadConfig({
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    LOG_LEVEL: 'silent',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
  })
  const { http, engine } = await buildApp(config, { database, store })
  const user = userOf(ownerId, 'member', { isAdmin: true })
  const authorization = `Bearer ${await signToken(secret, user, 600)}`
  const repository = uploadRepository(database)
  const onError = (error: unknown) => void console.error(error)
  try {
    for (const { route, request } of rows) {
      const { id } = await engine.create(user, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
      const [method = ''] = route.split(' ')
      await http.inject({ method: method as 'GET', ...about(request(id, id), authorization) })
    }
    const list = (query: string) => http.inject({ url: `/v1/uploads${query}`, headers: { authorization } })
    const { uploads } = (await list('?state=receiving')).json<{ uploads: { id: string }[] }>()
    await list(`?before=${uploads.at(-1)?.id}`)
    await list('?fingerprint=file-1')
    const allUploads = `/v1/admin/uploads?before=${uploads.at(-1)?.id}`
    for (const query of [
      '',
      '&state=failed',
      '&state=receiving',
      '&live=true',
      '&user=crowd&tenant=',
      '&until=2100-01-01T00:00:00Z',
    ])
      await http.inject({ url: allUploads + query, headers: { authorization } })
    for (const query of ['?before=50', '?actor=crowd', `?upload=${uploads.at(-1)?.id}`, '?until=2100-01-01T00:00:00Z'])
      await http.inject({ url: `/v1/admin/audit${query}`, headers: { authorization } })
    const tus = { authorization, 'tus-resumable': '1.0.0' }
    const partial = { ...tus, 'upload-length': '5', 'upload-concat': 'partial' }
    const created = await http.inject({ method: 'POST', url: '/files', headers: partial })
    await http.inject({
      method: 'POST',
      url: '/files',
      headers: { ...tus, 'upload-concat': `final;${created.headers.location}` },
    })
    await http.inject({ url: '/metrics', remoteAddress: '127.0.0.1' })

    const feed = openFeed({ database, onError })
    const stopListening = await feed.subscribe(() => {})
    await feed.since(1, { ownerId, tenant: null }, 100)
    stopListening()
    feed.close()
    await finishUploads(engine, repository)
    await sweep(engine, repository, new Date())
    const fanOutAll = async (events: DeliveredEvent[]) => void (await fanOut(database, events, new Date()))
    await createOutbox(database, { listeners: [], batchListeners: [fanOutAll] }, onError).deliver()
    await takeDeliveries(database, new Date(), 32)
    await oldestDue(database)
    await takeSteps(database)
    return new Map(sent)
  } finally {
    await http.close()
    await opened.close()
  }
}

/** What the workers of steps ask for; a server without checks has none. */
async function takeSteps(database: Database): Promise<void> {
  const now = new Date()
  for (const isOldest of [false, true])
    await takeStep(database, { names: ['scan'], now, leaseUntil: now, token: randomUUID(), isOldest })
  await recoverSteps(database, now)
  await backfillSteps(database, [{ name: 'scan', version: 1, isBlocking: true }], now)
}

function about(request: { url: string; headers?: Record<string, string>; payload?: string | object }, token: string) {
  return { ...request, headers: { ...request.headers, authorization: token } }
}
