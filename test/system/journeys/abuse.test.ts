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
 * What strangers and one bad user can do to a server at once, while somebody honest sends a file through it. How much of each
 * is one number, so that a longer run is a matter of patience: ABUSE=16 makes it sixteen times as much, a GiB of metadata.
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
// Metadata may have 8 KiB.
const tooMuch = Buffer.alloc(6600, 'A').toString('base64')
const justFits = Buffer.alloc(5900, 'A').toString('base64')
const metadataMiB = 64 * scale

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
  const memoryAfter: number[] = []
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(server))
  }, 50)
  const note = <T>(answers: T): T => {
    memoryAfter.push(Math.round(memoryOf(server) / MiB))
    return answers
  }
  const honest = { isDone: false }

  const sending = sendSlowly(server, directory, honest)
  const slow = await slowloris(server, 200)
  const dripping = slowBodies(server, 20)
  const creations = note(
    await flood(server, 10_000, headersOf('mallory', 'member'), (headers) => ({
      method: 'POST',
      path: '/files',
      headers: { ...headers, 'upload-length': '1000', 'upload-metadata': picture },
    })),
  )
  const pages = Math.ceil((metadataMiB * MiB) / (tooMuch.length + justFits.length))
  const metadata = note(
    await flood(server, 2 * pages, headersOf('mallory', 'member'), (headers, n) => ({
      method: 'POST',
      path: '/files',
      headers: {
        ...headers,
        'upload-length': '1000',
        'upload-metadata': `${picture},note ${n % 2 === 0 ? tooMuch : justFits}`,
      },
    })),
  )
  const headers = note(
    await flood(server, 1000 * scale, headersOf('mallory', 'member'), (words) => ({
      method: 'HEAD',
      path: theirs.location!,
      headers: { ...words, 'x-padding': 'x'.repeat(70_000) },
    })),
  )
  const foreign = note(
    await flood(server, 2000 * scale, headersOf('mallory', 'member'), (words, n) => ({
      method: (['HEAD', 'DELETE', 'PATCH', 'GET'] as const)[n % 4]!,
      path: n % 8 < 4 ? theirs.location! : `/files/${crypto.randomUUID()}`,
      headers: { ...words, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    })),
  )
  const startedAt = performance.now()
  const nobody = note(
    await flood(server, 2000 * scale, Promise.resolve({}), () => ({
      method: 'POST',
      path: '/files',
      headers: { 'x-forwarded-for': '203.0.113.9', authorization: 'Bearer nonsense', 'tus-resumable': '1.0.0' },
    })),
  )
  const minutes = (performance.now() - startedAt) / 60_000
  const files = note(await sendTraps(server))
  const slowEnds = await slow.ends
  const dripEnds = await dripping
  honest.isDone = true
  const { isWhole, ...pauses } = await sending
  clearInterval(watch)

  const [{ size }] = (await client.query('select pg_database_size(current_database())::float8 as size')).rows
  const sizes = { memoryBefore: before, memoryMost: most, disk: await sizeOf(directory), database: size }
  const inMiB = Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, Math.round(bytes / MiB)]))
  const answers = { creations, metadata, headers, foreign, nobody, files }
  console.info(JSON.stringify({ inMiB, memoryAfterEach: memoryAfter, ...answers, slowEnds, dripEnds, ...pauses }))
  // So many uploads were begun as may be open at once, and each of the rest was told when to come back.
  expect(creations[201]).toBe(limits.uploadsAtOnce)
  expect(creations[201]! + creations[429]!).toBe(10_000)
  expect(metadata).toEqual({ 400: pages, 429: pages })
  expect(Object.keys(headers)).toEqual(['431'])
  expect(Object.keys(foreign).filter((status) => status !== '404' && status !== '405')).toEqual([])
  // As many as a minute has room for, and what came free meanwhile.
  expect(nobody[401]).toBeGreaterThanOrEqual(600)
  expect(nobody[401]).toBeLessThan(610 * (1 + minutes))
  expect(nobody[401]! + nobody[429]!).toBe(2000 * scale)
  expect(slowEnds).toBe(200)
  expect(dripEnds).toEqual({ 503: 20 })
  expect(files.asPictures).toEqual({ 415: traps.length })
  expect(files.asTheyAre).toEqual({ 201: traps.length })
  expect(files.stored).toEqual(traps.map(([, bytes]) => bytes.length).toSorted((a, b) => a - b))
  // The honest file, what was begun, what was dripped, the traps, and nothing else.
  const created = limits.uploadsAtOnce + 2 + 20 + 2 * traps.length
  expect(await count('upload_sessions')).toBe(created)
  expect(await count('upload_events')).toBeLessThan(2 * created)
  expect(await count('audit_log')).toBeLessThan(2 * created + 60 * scale + 200)
  expect(isWhole).toBe(true)
  expect(pauses.longestPauseMs).toBeLessThan(5000)
  // What it takes for so many connections it takes once: a flood more does not add to it.
  expect(most - before).toBeLessThan(320 * MiB)
  expect(memoryAfter.at(-1)! - memoryAfter.at(-4)!).toBeLessThan(48)
  expect(size).toBeLessThan(64 * MiB)
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

/** Sends bodies that bring a byte now and then, each of an upload of its own; how often each status was the answer. */
async function slowBodies(server: NodeProcess, count: number): Promise<Record<string, number>> {
  const headers = await headersOf('slow', 'creator')
  const asked = Array.from({ length: count }, async () => {
    const { location } = await begin(server, headers, { 'upload-length': String(MiB) })
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

/** Files that unpack to much, or that are two things at once: each a trap for who looks inside, or believes a name. */
const traps: [name: string, bytes: Buffer][] = [
  ['a gzip that unpacks a thousandfold', gzipSync(Buffer.alloc(64 * MiB))],
  ['a zip whose first entry unpacks to much', zipOf('[Content_Types].xml', deflateRawSync(Buffer.alloc(256 * MiB)))],
  ['a picture with a page in it', Buffer.concat([gif, Buffer.from(html)])],
  ['a page that begins like a picture', Buffer.from(`GIF89a=1;/*${html}*/`)],
  ['a PDF that is a zip at its end', Buffer.concat([Buffer.from('%PDF-1.7\n'), zipOf('a.js', Buffer.from(script))])],
  ['a drawing with a script', Buffer.from(svgWithScript)],
]

/** Sends each trap by the name of a picture, which it is not, or is and more; and by no name to somebody who may send everything. */
async function sendTraps(server: NodeProcess) {
  const sendAll = async (who: Promise<Record<string, string>>, type: string) => {
    const headers = { ...(await who), 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream' }
    const statuses: number[] = []
    for (const [, bytes] of traps) {
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

/** A zip archive's first entry, as far as who looks at first bytes reads. */
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

/** Sends a file in chunks until `until.isDone`, and looks at the end whether what arrived is what was sent. */
async function sendSlowly(server: NodeProcess, directory: string, until: { isDone: boolean }) {
  const chunk = randomBytes(MiB / 4)
  const hash = createHash('sha256')
  const headers = await headersOf('honest')
  const { location } = await begin(server, headers, { 'upload-defer-length': '1' })
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
  const mine = found.uploads.find((upload) => location!.endsWith(upload.url))
  const arrived = createHash('sha256').update(await readFile(join(directory, 'files', mine!.key)))
  const isWhole = mine!.state === 'completed' && arrived.digest('hex') === hash.digest('hex')
  const inOrder = pausesMs.toSorted((a, b) => a - b).map(Math.round)
  const at = (share: number) => inOrder[Math.floor(share * (inOrder.length - 1))]!
  return {
    isWhole,
    honestMiB: offset / MiB,
    medianPauseMs: at(0.5),
    slowPauseMs: at(0.99),
    longestPauseMs: at(1),
  }
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
