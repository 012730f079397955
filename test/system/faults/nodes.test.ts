/* Several server processes with one Postgres and one bucket: each resumes the uploads of the others. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type NodeProcess, startNodeProcess } from '../../support/node-process.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { headersOf, testSecret } from '../../support/tus-file.ts'

const MiB = 1024 ** 2
// How long a node is paused; FAULTS_PAUSE_MS=60000 with the default lease is the long run.
const pauseMs = Number(process.env.FAULTS_PAUSE_MS ?? 4000)

async function openNodes(count: number, more: Record<string, string> = {}) {
  const database = await freshDatabase()
  const s3 = await startS3StandIn({ equalParts: true })
  const environment = {
    STORE: 's3',
    DATABASE_URL: database.url,
    JWT_SECRET: testSecret,
    ...s3.settings,
    PART_SIZE: '5MiB',
    LOG_LEVEL: 'info',
    LEASE_TTL: '2s',
    ...more,
  }
  const nodes = await Promise.all(Array.from({ length: count }, () => startNodeProcess({ environment })))
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.kill()))
    await client.end()
    await s3.close()
    await database.dispose()
  })
  return { nodes, s3, client }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function create(url: string, size: number): Promise<string> {
  const response = await fetch(`${url}/files`, {
    method: 'POST',
    headers: { 'tus-resumable': '1.0.0', 'upload-length': String(size), ...(await headersOf()) },
  })
  expect(response.status).toBe(201)
  return response.headers.get('location')!
}

async function ask(
  node: NodeProcess,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: Buffer,
) {
  return fetch(node.url + path, {
    method,
    headers: {
      'tus-resumable': '1.0.0',
      'content-type': 'application/offset+octet-stream',
      ...(await headersOf()),
      ...headers,
    },
    ...(body ? { body: body as never } : {}),
  })
}

/** A PATCH whose client sends only `bytes` of its body and keeps the connection open. */
async function stalledPatch(node: NodeProcess, path: string, bytes: Buffer, declared: number): Promise<Socket> {
  const socket = connect(node.port, '127.0.0.1')
  socket.on('error', () => {})
  const { authorization } = await headersOf()
  const lines = [
    `PATCH ${path} HTTP/1.1`,
    'Host: localhost',
    'Tus-Resumable: 1.0.0',
    'Upload-Offset: 0',
    'Content-Type: application/offset+octet-stream',
    `Content-Length: ${declared}`,
    `Authorization: ${authorization}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  onTestFinished(() => void socket.destroy())
  await pause(500)
  return socket
}

describe('two nodes', () => {
  it('take over the stalled requests of each other within two seconds', {
    timeout: 60_000,
  }, async () => {
    const { nodes, s3, client } = await openNodes(2)
    const [a, b] = nodes as [NodeProcess, NodeProcess]
    const bytes = randomBytes(13 * MiB)
    const path = await create(a.url, bytes.length)
    await stalledPatch(a, path, bytes.subarray(0, 8 * MiB), bytes.length)

    const before = performance.now()
    const head = await ask(b, 'HEAD', path)
    const tookMs = performance.now() - before

    expect(head.status).toBe(200)
    expect(Number(head.headers.get('upload-offset'))).toBe(8 * MiB)
    expect(tookMs).toBeLessThan(2000)
    const patch = await ask(b, 'PATCH', path, { 'upload-offset': String(8 * MiB) }, bytes.subarray(8 * MiB))
    expect(patch.status).toBe(204)
    const { rows } = await client.query('select key, state from upload_sessions')
    expect(rows[0].state).toBe('completed')
    expect((await s3.bytesOf(rows[0].key))?.equals(bytes)).toBe(true)
  })

  it('change nothing after a pause in which the other one took over', { timeout: 120_000 }, async () => {
    const { nodes, s3, client } = await openNodes(2, { LOCK_WAIT: '10s' })
    const [a, b] = nodes as [NodeProcess, NodeProcess]
    const sent = randomBytes(7 * MiB)
    const path = await create(a.url, 13 * MiB)
    const socket = await stalledPatch(a, path, sent.subarray(0, 3 * MiB), 13 * MiB)
    a.pause()
    // The socket of the paused node has bytes of another file: if it wrote them later, the object would differ.
    socket.write(randomBytes(10 * MiB))
    await pause(pauseMs)

    const offset = Number((await ask(b, 'HEAD', path)).headers.get('upload-offset'))
    const rest = randomBytes(13 * MiB - offset)
    expect((await ask(b, 'PATCH', path, { 'upload-offset': String(offset) }, rest)).status).toBe(204)
    const done = (await client.query('select * from upload_sessions')).rows[0]
    a.resume()
    await pause(3000)

    const after = (await client.query('select * from upload_sessions')).rows[0]
    expect(done.state).toBe('completed')
    expect({ ...after, needs_cleanup: null, updated_at: null }).toEqual({
      ...done,
      needs_cleanup: null,
      updated_at: null,
    })
    const whole = Buffer.concat([sent.subarray(0, offset), rest])
    expect((await s3.bytesOf(done.key))?.equals(whole)).toBe(true)
    expect(s3.files().map((object) => object.key)).toEqual([done.key])
    expect(
      (await client.query(`select count(*) from upload_events where type = 'upload.completed'`)).rows[0].count,
    ).toBe('1')
  })
})

describe('a node that is stopping', () => {
  it('exits at once on a second signal', { timeout: 60_000 }, async () => {
    const { nodes } = await openNodes(1, { DRAIN_TIMEOUT: '30s' })
    const node = nodes[0]!
    const path = await create(node.url, 10 * MiB)
    await stalledPatch(node, path, randomBytes(1000), 10 * MiB)

    const before = performance.now()
    const ended = node.stop()
    await pause(50)
    process.kill(node.pid(), 'SIGTERM')
    await ended

    expect(performance.now() - before).toBeLessThan(5000)
  })
})
