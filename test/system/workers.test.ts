/* One server of two worker processes, which share a port, a database and a store. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { ObjectStore } from '../../src/core/ports/object-store.ts'
import { localStore } from '../../src/stores/local.ts'
import { freePort } from '../support/free-port.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'
import { headersOf, sendFile } from '../support/tus-file.ts'
import { until } from '../support/until.ts'

const KiB = 1024
const uploads = 100
const chunkSize = 64 * KiB
const chunks = 4

let database: FreshDatabase
let directory: string
let server: NodeProcess
let metricsUrl: string
let store: ObjectStore
let client: pg.Client
beforeAll(async () => {
  database = await freshDatabase()
  directory = await mkdtemp(join(tmpdir(), 'landfall-workers-'))
  store = localStore({ directory: join(directory, 'files'), fsync: false })
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const metricsPort = await freePort()
  metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`
  server = await startNodeProcess({
    environment: {
      WORKERS: '2',
      DATABASE_URL: database.url,
      DATA_DIR: directory,
      LOCAL_FSYNC: 'false',
      PART_SIZE: '64KiB',
      LEASE_TTL: '3s',
      METRICS_PORT: String(metricsPort),
    },
  })
  await until(() => workersThatListen().length === 2)
})
afterAll(async () => {
  await client.end()
  await server.kill()
  await database.dispose()
  await rm(directory, { recursive: true, force: true })
})

describe('a server of two workers', () => {
  it('migrates the database once, and starts its workers one after the other', async () => {
    const { rows } = await client.query('select count(*)::int as count from drizzle.__drizzle_migrations')

    expect(rows).toEqual([{ count: 1 }])
    expect(workersThatListen()).toEqual([1, 2])
  })

  it('fails no client when a worker is killed under 100 uploads, each stored once', async () => {
    const files = Array.from({ length: uploads }, () => randomBytes(chunkSize * chunks - 1))
    let created = 0
    let accepted = 0

    const sending = files.map((bytes) =>
      sendFile(server.url, bytes, {
        chunkSize,
        onUploadUrlAvailable: () => (created += 1),
        onChunkComplete: () => (accepted += 1),
      }),
    )
    await until(() => created === uploads && accepted >= uploads / 2)
    const before = await scrape()
    process.kill(pidOf(2), 'SIGKILL')
    await Promise.all(sending)

    const { rows } = await client.query<{ key: string; state: string }>('select key, state from upload_sessions')
    expect(rows.filter(({ state }) => state !== 'completed')).toEqual([])
    const stored = await Promise.all(rows.map(({ key }) => digestOf(store, key)))
    expect(stored.toSorted()).toEqual(files.map((bytes) => digest(bytes)).toSorted())
    expect(new Set(recordsOf('request done').map(({ worker }) => worker))).toEqual(new Set([1, 2]))
    await server.untilLogged('a worker ended; it is started again')
    const after = await scrape()
    expect(
      [...before].filter(
        ([name, value]) => name.startsWith('landfall_') && name.includes('_total') && (after.get(name) ?? 0) < value,
      ),
    ).toEqual([])
    expect(after.get('landfall_uploads_created_total{role="creator"}')).toBe(uploads)
  })

  it('starts a killed worker again, behind the same port', async () => {
    await until(() => workersThatListen().length === 3)

    expect(workersThatListen()).toEqual([1, 2, 2])
  })

  it('replaces a worker that an operator stops alone', async () => {
    process.kill(pidOf(1), 'SIGTERM')
    await until(() => workersThatListen().length === 4)

    expect(workersThatListen()).toEqual([1, 2, 2, 1])
    expect(recordsOf('stopped').map(({ worker }) => worker)).toEqual([1])
  })

  it('runs background work in one worker', async () => {
    await until(() => recordsOf('upload event').filter(({ type }) => type === 'upload.completed').length >= uploads)

    expect(new Set(recordsOf('upload event').map(({ worker }) => worker))).toEqual(new Set([1]))
  })

  it('saves on SIGTERM what every worker has received, and exits with 0', async () => {
    const size = 10 * chunkSize
    const sent = 2 * chunkSize + 1000
    const paths = await Promise.all(Array.from({ length: 8 }, () => createUpload(size)))
    for (const path of paths) await sendUnfinished(path, size, randomBytes(sent))
    await until(async () => (await offsets()).every((offset) => offset >= chunkSize))

    const code = await server.stop()

    expect(code).toBe(0)
    expect(await offsets()).toEqual(paths.map(() => sent))
    expect(
      recordsOf('stopped')
        .map(({ worker }) => worker)
        .toSorted(),
    ).toEqual([1, 1, 2])
    expect(recordsOf('all workers have stopped')).toHaveLength(1)
  })
})

function recordsOf(message: string): Record<string, unknown>[] {
  return server.records().filter(({ msg }) => msg === message)
}

/** The number of every worker that began to listen, in order. */
function workersThatListen(): unknown[] {
  return recordsOf(`Server listening at ${server.url}`).map(({ worker }) => worker)
}

function pidOf(number: number): number {
  return Number(server.records().findLast(({ worker }) => worker === number)!.pid)
}

/** The values of `/metrics` by name with labels. */
async function scrape(): Promise<Map<string, number>> {
  const text = await (await fetch(metricsUrl)).text()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

/** Creates an upload and returns its path. */
async function createUpload(size: number): Promise<string> {
  const response = await fetch(`${server.url}/files`, {
    method: 'POST',
    headers: { 'tus-resumable': '1.0.0', 'upload-length': String(size), ...(await headersOf('eve')) },
  })
  expect(response.status).toBe(201)
  return response.headers.get('location')!
}

/** Begins a PATCH, on a connection of its own, that sends `bytes` and no more. */
async function sendUnfinished(path: string, size: number, bytes: Buffer): Promise<void> {
  const socket = connect(server.port, '127.0.0.1').on('error', () => {})
  onTestFinished(() => void socket.destroy())
  const headers = {
    host: 'a',
    'tus-resumable': '1.0.0',
    'content-type': 'application/offset+octet-stream',
    'upload-offset': '0',
    'content-length': String(size),
    ...(await headersOf('eve')),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`PATCH ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  socket.write(bytes)
}

/** The recorded offsets of eve's uploads. */
async function offsets(): Promise<number[]> {
  const { rows } = await client.query<{ offset: string }>(
    `select "offset" from upload_sessions where owner_id = 'eve' and state = 'receiving'`,
  )
  return rows.map(({ offset }) => Number(offset))
}

async function digestOf(from: ObjectStore, key: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of from.read(key)) hash.update(bytes)
  return hash.digest('hex')
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
