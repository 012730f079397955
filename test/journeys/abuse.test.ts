import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, request as ask } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { freshDatabase } from '../support/postgres.ts'
import { headersOf, testSecret } from '../support/tus-file.ts'

/*
 * What strangers and one bad user can do to a server at once, while somebody honest sends a file through it. How much of each
 * is one number, so that a longer run is a matter of patience: ABUSE=10 makes it ten times as much.
 */

const scale = Number(process.env['ABUSE'] ?? 1)
const MiB = 1024 ** 2
const picture = `filetype ${Buffer.from('image/png').toString('base64')}`
const limits = { uploadsAtOnce: 40, creationsPerMinute: 100, totalBytes: '1 GiB' }
const environment = {
  JWT_SECRET: testSecret,
  LOG_LEVEL: 'error',
  TRUST_PROXY: 'true',
  HEADERS_TIMEOUT: '2s',
  REQUESTS_PER_ADDRESS: '600',
  POLICIES: JSON.stringify({ member: limits }),
}

it('a server bears abuse: its memory is bounded, and an honest user does not notice', {
  timeout: 300_000 * scale,
}, async () => {
  const database = await freshDatabase()
  const directory = await mkdtemp(join(tmpdir(), 'landfall-abuse-'))
  const server = await startNodeProcess({
    environment: { ...environment, DATABASE_URL: database.url, DATA_DIR: directory },
  })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  onTestFinished(async () => {
    await server.kill()
    await client.end()
    await database.dispose()
    await rm(directory, { recursive: true })
  })
  const count = async (table: string) => Number((await client.query(`select count(*) from ${table}`)).rows[0].count)
  // The victim of those who guess: an upload that is not theirs.
  const theirs = await begin(server, await headersOf('honest'), { 'upload-length': '100' })
  await flood(server, 200, headersOf('warm'), (headers) => ({ method: 'HEAD', path: theirs.location!, headers }))
  const before = memoryOf(server)
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(server))
  }, 50)
  const honest = { isDone: false }

  const sending = sendSlowly(server, directory, honest)
  const slow = await slowloris(server, 200)
  const creations = await flood(server, 10_000 * scale, headersOf('mallory', 'member'), (headers) => ({
    method: 'POST',
    path: '/files',
    headers: { ...headers, 'upload-length': '1000', 'upload-metadata': picture },
  }))
  const metadata = await flood(server, 2000 * scale, headersOf('mallory', 'member'), (headers) => ({
    method: 'POST',
    path: '/files',
    headers: { ...headers, 'upload-length': '1000', 'upload-metadata': `name ${'QUFB'.repeat(2500)}` },
  }))
  const headers = await flood(server, 1000 * scale, headersOf('mallory', 'member'), (words) => ({
    method: 'HEAD',
    path: theirs.location!,
    headers: { ...words, 'x-padding': 'x'.repeat(30_000) },
  }))
  const foreign = await flood(server, 2000 * scale, headersOf('mallory', 'member'), (words, n) => ({
    method: (['HEAD', 'DELETE', 'PATCH', 'GET'] as const)[n % 4]!,
    path: n % 8 < 4 ? theirs.location! : `/files/${crypto.randomUUID()}`,
    headers: { ...words, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
  }))
  const nobody = await flood(server, 2000 * scale, Promise.resolve({}), () => ({
    method: 'POST',
    path: '/files',
    headers: { 'x-forwarded-for': '203.0.113.9', authorization: 'Bearer nonsense', 'tus-resumable': '1.0.0' },
  }))
  const slowEnds = await slow.ends
  honest.isDone = true
  const { isWhole, longestPauseMs } = await sending
  clearInterval(watch)

  const figures = { before, most, creations, metadata, headers, foreign, nobody, slowEnds, longestPauseMs }
  console.info(JSON.stringify(figures))
  // So many uploads were begun as may be open at once, and each of the rest was told when to come back.
  expect(creations[201]).toBe(limits.uploadsAtOnce)
  expect(creations[201]! + creations[429]!).toBe(10_000 * scale)
  expect(metadata).toEqual({ 400: 2000 * scale })
  expect(Object.keys(headers)).toEqual(['431'])
  expect(Object.keys(foreign).filter((status) => status !== '404' && status !== '405')).toEqual([])
  expect(nobody).toEqual({ 401: expect.closeTo(600, -2), 429: expect.any(Number) })
  expect(slowEnds).toBe(200)
  // The honest file, what was begun, and nothing else.
  expect(await count('upload_sessions')).toBe(limits.uploadsAtOnce + 2)
  expect(await count('upload_events')).toBeLessThan(limits.uploadsAtOnce + 10)
  expect(await count('audit_log')).toBeLessThan(limits.uploadsAtOnce + 200)
  expect(isWhole).toBe(true)
  expect(longestPauseMs).toBeLessThan(5000)
  expect(most - before).toBeLessThan(250 * MiB)
})

interface Question {
  method: string
  path: string
  headers: Record<string, string>
}

/** Asks `count` times over forty connections; how often each status was the answer. */
async function flood(
  { port }: NodeProcess,
  count: number,
  who: Promise<Record<string, string>>,
  question: (headers: Record<string, string>, n: number) => Question,
): Promise<Record<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 40 })
  const words = { ...(await who), 'tus-resumable': '1.0.0' }
  const statuses: Record<string, number> = {}
  let next = 0
  async function work(): Promise<void> {
    while (next < count) {
      const n = next++
      const status = await statusOf({ port, agent, ...question(words, n) })
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: 40 }, work))
  agent.destroy()
  return statuses
}

function statusOf(question: Question & { port: number; agent: Agent }): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = ask({ host: '127.0.0.1', ...question }, (answer) => {
      answer.resume()
      answer.on('close', () => resolve(answer.statusCode!))
    })
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'))
    asked.end()
  })
}

/** Opens connections that say a little of a header now and then. `ends` resolves to how many the server has ended. */
async function slowloris({ port }: NodeProcess, count: number): Promise<{ ends: Promise<number> }> {
  const sockets = await Promise.all(
    Array.from({ length: count }, () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      return new Promise<Socket>((resolve) => socket.once('connect', () => resolve(socket)))
    }),
  )
  const drip = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write('x: y\r\n')
  }, 500)
  for (const socket of sockets) socket.write('POST /files HTTP/1.1\r\n')
  const ended = sockets.map((socket) => new Promise((resolve) => socket.resume().once('close', resolve)))
  const ends = Promise.race([Promise.all(ended), sleep(60_000)]).then(() => {
    clearInterval(drip)
    const closed = sockets.filter((socket) => socket.destroyed).length
    for (const socket of sockets) socket.destroy()
    return closed
  })
  return { ends }
}

/** Sends a file in chunks until `until.isDone`, and looks at the end whether what arrived is what was sent. */
async function sendSlowly(server: NodeProcess, directory: string, until: { isDone: boolean }) {
  const chunk = randomBytes(MiB / 4)
  const hash = createHash('sha256')
  const headers = await headersOf('honest')
  const { location } = await begin(server, headers, { 'upload-defer-length': '1' })
  let offset = 0
  let longestPauseMs = 0
  async function patch(more: Record<string, string>, body: Buffer) {
    const started = performance.now()
    const answer = await fetch(new URL(location!, server.url), {
      method: 'PATCH',
      headers: {
        ...headers,
        'tus-resumable': '1.0.0',
        'content-type': 'application/offset+octet-stream',
        'upload-offset': String(offset),
        ...more,
      },
      body: new Uint8Array(body),
    })
    expect(answer.status).toBe(204)
    longestPauseMs = Math.max(longestPauseMs, performance.now() - started)
    offset += body.length
    hash.update(body)
  }
  while (!until.isDone) {
    await patch({}, chunk)
    await sleep(50)
  }
  await patch({ 'upload-length': String(offset + chunk.length) }, chunk)
  const found = (await (await fetch(`${server.url}/v1/uploads`, { headers })).json()) as {
    uploads: { url: string; key: string; state: string }[]
  }
  const mine = found.uploads.find((upload) => location!.endsWith(upload.url))
  const arrived = createHash('sha256').update(await readFile(join(directory, 'files', mine!.key)))
  const isWhole = mine!.state === 'completed' && arrived.digest('hex') === hash.digest('hex')
  return { isWhole, longestPauseMs: Math.round(longestPauseMs) }
}

async function begin({ url }: NodeProcess, headers: Record<string, string>, more: Record<string, string>) {
  const answer = await fetch(`${url}/files`, {
    method: 'POST',
    headers: { ...headers, 'tus-resumable': '1.0.0', ...more },
  })
  expect(answer.status).toBe(201)
  return { location: answer.headers.get('location') }
}

/** Bytes of memory that the process has. */
function memoryOf(server: NodeProcess): number {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid()}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}
