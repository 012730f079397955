import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { Agent, request as ask } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { deflateRawSync, gzipSync } from 'node:zlib'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { gif, html, script, svgWithScript } from '../../media/built.ts'
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { headersOf, testSecret } from '../../support/tus-file.ts'

/*
 * Unauthenticated clients and one malicious user attack a server at once, while a well-behaved user sends a file. `ABUSE` multiplies the
 * number of requests: ABUSE=16 sends a GiB of metadata.
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
  MIN_SPEED: '1KiB',
  REQUESTS_PER_ADDRESS: '600',
  POLICIES: JSON.stringify({ member: limits, subscriber: { mediaTypes: ['image/png', 'image/jpeg'] } }),
}
// The limit of metadata is 8 KiB.
const tooLong = Buffer.alloc(6600, 'A').toString('base64')
const withinLimit = Buffer.alloc(5900, 'A').toString('base64')
const metadataMiB = 64 * scale

it('under abuse, memory is bounded and a well-behaved user is served', {
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
  // The upload of another user, which the attacks address.
  const victim = await createUpload(server, await headersOf('ann'), { 'upload-length': '100' })
  await flood(server, 200, headersOf('warm'), (headers) => ({ method: 'HEAD', path: victim.location!, headers }))
  const before = memoryOf(server)
  let peak = before
  const memoryAfter: number[] = []
  const watch = setInterval(() => {
    peak = Math.max(peak, memoryOf(server))
  }, 50)
  const note = <T>(answers: T): T => {
    memoryAfter.push(Math.round(memoryOf(server) / MiB))
    return answers
  }
  const progress = { isDone: false }

  const sending = sendSlowly(server, directory, progress)
  const slow = await slowloris(server, 200)
  const slowSending = slowBodies(server, 20)
  const creations = note(
    await flood(server, 10_000, headersOf('mallory', 'member'), (headers) => ({
      method: 'POST',
      path: '/files',
      headers: { ...headers, 'upload-length': '1000', 'upload-metadata': picture },
    })),
  )
  const pages = Math.ceil((metadataMiB * MiB) / (tooLong.length + withinLimit.length))
  const metadata = note(
    await flood(server, 2 * pages, headersOf('mallory', 'member'), (headers, n) => ({
      method: 'POST',
      path: '/files',
      headers: {
        ...headers,
        'upload-length': '1000',
        'upload-metadata': `${picture},note ${n % 2 === 0 ? tooLong : withinLimit}`,
      },
    })),
  )
  const headers = note(
    await flood(server, 1000 * scale, headersOf('mallory', 'member'), (authorized) => ({
      method: 'HEAD',
      path: victim.location!,
      headers: { ...authorized, 'x-padding': 'x'.repeat(70_000) },
    })),
  )
  const foreign = note(
    await flood(server, 2000 * scale, headersOf('mallory', 'member'), (authorized, n) => ({
      method: (['HEAD', 'DELETE', 'PATCH', 'GET'] as const)[n % 4]!,
      path: n % 8 < 4 ? victim.location! : `/files/${crypto.randomUUID()}`,
      headers: { ...authorized, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    })),
  )
  const startedAt = performance.now()
  const unauthenticated = note(
    await flood(server, 2000 * scale, Promise.resolve({}), () => ({
      method: 'POST',
      path: '/files',
      headers: { 'x-forwarded-for': '203.0.113.9', authorization: 'Bearer nonsense', 'tus-resumable': '1.0.0' },
    })),
  )
  const minutes = (performance.now() - startedAt) / 60_000
  const files = note(await sendMaliciousFiles(server))
  const slowEnds = await slow.ends
  const slowBodyEnds = await slowSending
  progress.isDone = true
  const { isIntact, ...pauses } = await sending
  clearInterval(watch)

  const [{ size }] = (await client.query('select pg_database_size(current_database())::float8 as size')).rows
  const sizes = { memoryBefore: before, memoryPeak: peak, disk: await sizeOf(directory), database: size }
  const inMiB = Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, Math.round(bytes / MiB)]))
  const answers = { creations, metadata, headers, foreign, unauthenticated, files }
  console.info(JSON.stringify({ inMiB, memoryAfterEach: memoryAfter, ...answers, slowEnds, slowBodyEnds, ...pauses }))
  // As many uploads were created as may be open at once; the rest were answered with 429.
  expect(creations[201]).toBe(limits.uploadsAtOnce)
  expect(creations[201]! + creations[429]!).toBe(10_000)
  expect(metadata).toEqual({ 400: pages, 429: pages })
  expect(Object.keys(headers)).toEqual(['431'])
  expect(Object.keys(foreign).filter((status) => status !== '404' && status !== '405')).toEqual([])
  // The limit per minute, plus what became available meanwhile.
  expect(unauthenticated[401]).toBeGreaterThanOrEqual(600)
  expect(unauthenticated[401]).toBeLessThan(610 * (1 + minutes))
  expect(unauthenticated[401]! + unauthenticated[429]!).toBe(2000 * scale)
  expect(slowEnds).toBe(200)
  expect(slowBodyEnds).toEqual({ 503: 20 })
  expect(files.asPictures).toEqual({ 415: maliciousFiles.length })
  expect(files.asTheyAre).toEqual({ 201: maliciousFiles.length })
  expect(files.stored).toEqual(maliciousFiles.map(([, bytes]) => bytes.length).toSorted((a, b) => a - b))
  // The file of the other user, the uploads that were created, the slow ones and the malicious files.
  const created = limits.uploadsAtOnce + 2 + 20 + 2 * maliciousFiles.length
  expect(await count('upload_sessions')).toBe(created)
  expect(await count('upload_events')).toBeLessThan(2 * created)
  expect(await count('audit_log')).toBeLessThan(2 * created + 60 * scale + 200)
  expect(isIntact).toBe(true)
  expect(pauses.longestPauseMs).toBeLessThan(5000)
  // Memory for connections is allocated once: another flood does not add to it.
  expect(peak - before).toBeLessThan(320 * MiB)
  expect(memoryAfter.at(-1)! - memoryAfter.at(-4)!).toBeLessThan(48)
  expect(size).toBeLessThan(64 * MiB)
})

interface FloodRequest {
  method: string
  path: string
  headers: Record<string, string>
}

/** Sends `count` requests over forty connections. Returns how often each status was answered. */
async function flood(
  { port }: NodeProcess,
  count: number,
  identity: Promise<Record<string, string>>,
  question: (headers: Record<string, string>, n: number) => FloodRequest,
): Promise<Record<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 40 })
  const headers = { ...(await identity), 'tus-resumable': '1.0.0' }
  const statuses: Record<string, number> = {}
  let next = 0
  async function work(): Promise<void> {
    while (next < count) {
      const n = next++
      const status = await statusOf({ port, agent, ...question(headers, n) })
      statuses[status] = (statuses[status] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: 40 }, work))
  agent.destroy()
  return statuses
}

function statusOf(question: FloodRequest & { port: number; agent: Agent }): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = ask({ host: '127.0.0.1', ...question }, (answer) => {
      answer.resume()
      answer.on('close', () => resolve(answer.statusCode!))
    })
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'failed'))
    asked.end()
  })
}

/** Opens connections that send headers slowly. `ends` resolves to how many the server has closed. */
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

/** Sends slow bodies, each to its own upload. Returns how often each status was answered. */
async function slowBodies(server: NodeProcess, count: number): Promise<Record<string, number>> {
  const headers = await headersOf('slow', 'creator')
  const asked = Array.from({ length: count }, async () => {
    const { location } = await createUpload(server, headers, { 'upload-length': String(MiB) })
    return new Promise<number | string>((resolve) => {
      const drip = setInterval(() => body.write('x'), 300)
      const body = ask({
        host: '127.0.0.1',
        port: server.port,
        method: 'PATCH',
        path: location!,
        headers: {
          ...headers,
          'tus-resumable': '1.0.0',
          'upload-offset': '0',
          'content-type': 'application/offset+octet-stream',
          'content-length': String(MiB),
        },
      })
      const end = (status: number | string) => {
        clearInterval(drip)
        resolve(status)
        body.destroy()
      }
      body.on('response', (answer) => end(answer.statusCode!))
      body.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'failed'))
    })
  })
  return countEach(await Promise.all(asked))
}

/** Compression bombs and files of two types at once: they attack servers that decompress files or trust a declared type. */
const maliciousFiles: [name: string, bytes: Buffer][] = [
  ['a gzip bomb', gzipSync(Buffer.alloc(64 * MiB))],
  ['a zip bomb', zipOf('[Content_Types].xml', deflateRawSync(Buffer.alloc(256 * MiB)))],
  ['a picture that contains a page', Buffer.concat([gif, Buffer.from(html)])],
  ['a page with the signature of a picture', Buffer.from(`GIF89a=1;/*${html}*/`)],
  ['a PDF that is also a zip', Buffer.concat([Buffer.from('%PDF-1.7\n'), zipOf('a.js', Buffer.from(script))])],
  ['an SVG with a script', Buffer.from(svgWithScript)],
]

/** Sends each of these files declared as a picture, by a user who may send only pictures; and undeclared, by one who may send all types. */
async function sendMaliciousFiles(server: NodeProcess) {
  const sendAll = async (identity: Promise<Record<string, string>>, type: string) => {
    const headers = { ...(await identity), 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }
    const statuses: number[] = []
    for (const [, bytes] of maliciousFiles) {
      const metadata = { 'upload-metadata': `filetype ${Buffer.from(type).toString('base64')}` }
      const answer = await fetch(`${server.url}/files`, {
        method: 'POST',
        headers: { ...headers, ...metadata, 'upload-length': String(bytes.length) },
        body: new Uint8Array(bytes),
      })
      statuses.push(answer.status)
    }
    return countEach(statuses)
  }
  const asPictures = await sendAll(headersOf('pia', 'subscriber'), 'image/png')
  const owner = headersOf('carl', 'creator')
  const asTheyAre = await sendAll(owner, 'application/octet-stream')
  const list = await fetch(`${server.url}/v1/uploads?state=completed`, { headers: await owner })
  const { uploads } = (await list.json()) as { uploads: { size: number }[] }
  return { asPictures, asTheyAre, stored: uploads.map((upload) => upload.size).toSorted((a, b) => a - b) }
}

/** The first entry of a zip archive, which is enough for detectors that read the first bytes. */
function zipOf(name: string, packed: Buffer): Buffer {
  const header = Buffer.alloc(30)
  header.write('PK\x03\x04', 'latin1')
  header.writeUInt16LE(20, 4)
  header.writeUInt16LE(8, 8)
  header.writeUInt32LE(packed.length, 18)
  header.writeUInt32LE(256 * MiB, 22)
  header.writeUInt16LE(name.length, 26)
  return Buffer.concat([header, Buffer.from(name), packed])
}

function countEach(statuses: (number | string)[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Bytes of all files below `folder`. */
async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** Sends a file in requests until `until.isDone`, and checks at the end that the stored file is the same. */
async function sendSlowly(server: NodeProcess, directory: string, until: { isDone: boolean }) {
  const chunk = randomBytes(MiB / 4)
  const hash = createHash('sha256')
  const headers = await headersOf('ann')
  const { location } = await createUpload(server, headers, { 'upload-defer-length': '1' })
  let offset = 0
  const pausesMs: number[] = []
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
    pausesMs.push(performance.now() - started)
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
  const upload = found.uploads.find((candidate) => location!.endsWith(candidate.url))
  const stored = createHash('sha256').update(await readFile(join(directory, 'files', upload!.key)))
  const isIntact = upload!.state === 'completed' && stored.digest('hex') === hash.digest('hex')
  const sorted = pausesMs.toSorted((a, b) => a - b).map(Math.round)
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!
  return {
    isIntact,
    sentMiB: offset / MiB,
    medianPauseMs: at(0.5),
    slowPauseMs: at(0.99),
    longestPauseMs: at(1),
  }
}

async function createUpload({ url }: NodeProcess, headers: Record<string, string>, more: Record<string, string>) {
  const answer = await fetch(`${url}/files`, {
    method: 'POST',
    headers: { ...headers, 'tus-resumable': '1.0.0', ...more },
  })
  expect(answer.status).toBe(201)
  return { location: answer.headers.get('location') }
}

/** The resident set of the process in bytes. */
function memoryOf(server: NodeProcess): number {
  const [, kib] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid()}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}
