/* A deployment: three servers behind a load balancer are restarted one after the other while many clients upload. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import type { ObjectStore } from '../../../src/core/ports/object-store.ts'
import { localStore } from '../../../src/stores/local.ts'
import { s3Options } from '../../../src/stores/s3/options.ts'
import { s3Store } from '../../../src/stores/s3/store.ts'
import { startBalancer } from '../../support/balancer.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { realS3 } from '../../support/real-s3.ts'
import { sendFile } from '../../support/tus-file.ts'
import { openServer } from './server.ts'

const KiB = 1024
const uploads = Number(process.env.FAULTS_UPLOADS ?? 200)
// Pauses between the requests make each upload last longer than a restart.
const chunkSize = 192 * KiB
const chunks = 9
const pauseMs = 1500

it('a rolling restart fails no client with default retries, and leaves no lease', { timeout: 300_000 }, async () => {
  const { store, settings } = await openSharedStore()
  const database = await freshDatabase()
  const environment = { DATABASE_URL: database.url, LOG_LEVEL: 'info', ...settings }
  const servers = await Promise.all([1, 2, 3].map(() => openServer(environment)))
  const balancer = await startBalancer(servers)
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  onTestFinished(async () => {
    balancer.close()
    await client.end()
    await Promise.all(servers.map((server) => server.kill()))
    await database.dispose()
  })
  const files = Array.from({ length: uploads }, () => randomBytes(chunkSize * chunks - 1))

  const sending = Promise.all(files.map((bytes) => sendSlowly(balancer.url, bytes)))
  const codes: (number | null)[] = []
  for (const server of servers) {
    await pause(2000)
    codes.push(await server.stop())
    await server.start()
  }
  await sending

  expect(codes, servers.map((server) => server.log().slice(-2000)).join('\n')).toEqual([0, 0, 0])
  const { rows } = await client.query('select key, state, lease_until from upload_sessions where "offset" > 0')
  expect(rows.filter((row) => row.state !== 'completed')).toEqual([])
  const { rows: leases } = await client.query('select id from upload_sessions where lease_until is not null')
  expect(leases).toEqual([])
  const stored = await Promise.all(rows.map((row) => digestOf(store, row.key)))
  expect(stored.toSorted()).toEqual(files.map((bytes) => digest(bytes)).toSorted())
})

/** Sends one file with the defaults of tus-js-client, except for the pauses. */
async function sendSlowly(url: string, bytes: Buffer): Promise<void> {
  await sendFile(url, bytes, {
    chunkSize,
    onBeforeRequest: (request) => (request.getMethod() === 'PATCH' ? pause(pauseMs) : undefined),
  })
}

async function openSharedStore(): Promise<{ store: ObjectStore; settings: Record<string, string> }> {
  const real = realS3()
  if (real) {
    const settings = { ...real, S3_PREFIX: `rolling-${randomUUID()}/` }
    const store = s3Store(s3Options.parse(settings))
    onTestFinished(async () => {
      for await (const key of store.list('')) await store.remove([key])
      await store.close()
    })
    return { store, settings: { STORE: 's3', PART_SIZE: '5MiB', ...settings } }
  }
  const directory = await mkdtemp(join(tmpdir(), 'landfall-rolling-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const store = localStore({ directory: join(directory, 'files'), fsync: false })
  return { store, settings: { DATA_DIR: directory } }
}

async function digestOf(store: ObjectStore, key: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of store.read(key)) hash.update(bytes)
  return hash.digest('hex')
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
