/*
 * One user who sends as much as the server lets this user send must not keep others from being served: at the database, among requests,
 * bodies and event streams at once.
 */
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { type Actor, userOf } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { freshDatabase } from '../support/postgres.ts'
import { askFor, headOf, openRaw, type RawConnection, type RawRequest } from '../support/raw-http.ts'
import { type TestApp, testApp } from '../support/test-app.ts'
import { until } from '../support/until.ts'

interface Served extends TestApp {
  port: number
  database: Database
}

/** A server whose database has one connection. */
async function serve(env: Record<string, string> = {}): Promise<Served> {
  const fresh = await freshDatabase({ isMigrated: true })
  const options = { dataDir: '', timeoutMs: 60_000, onError: console.error }
  const database = await openDatabase({ url: fresh.url, pool: 1, ...options })
  // Registered first, so that it runs after the app has closed.
  onTestFinished(async () => {
    await database.close()
    await fresh.dispose()
  })
  const app = await testApp(env, { database })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  return { ...app, database, port: (app.http.server.address() as AddressInfo).port }
}

const newUser = (role = 'creator', isAdmin = false): Actor => userOf(randomUUID(), role, { isAdmin })

/** Occupies the only connection of the database until the returned function is called. */
async function holdDatabase({ database }: Served): Promise<() => Promise<void>> {
  const release = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const holding = database.orm.transaction(async () => {
    held.resolve()
    await release.promise
  })
  await held.promise
  onTestFinished(() => release.resolve())
  return async () => {
    release.resolve()
    await holding
  }
}

const isWaiting = ({ database }: Served) => database.connections().waiting > 0

const tus = { 'tus-resumable': '1.0.0' }
const octets = { 'content-type': 'application/offset+octet-stream' }
const form = {
  method: 'POST',
  path: '/v1/files',
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  body: '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n',
}
const json = { 'content-type': 'application/json' }

interface Flood {
  request: RawRequest
  status: number
  isAdmin?: boolean
}

const floods: [string, Flood][] = [
  ['lists of uploads', { request: { method: 'GET', path: '/v1/uploads?limit=100' }, status: 200 }],
  ['multipart forms', { request: form, status: 201 }],
  ['files in one request', { request: { method: 'PUT', path: '/v1/files/a.txt', body: 'hello' }, status: 201 }],
  [
    'partial uploads',
    {
      request: {
        method: 'POST',
        path: '/files',
        headers: { ...tus, ...octets, 'upload-length': 5, 'upload-concat': 'partial' },
        body: 'hello',
      },
      status: 201,
    },
  ],
  [
    'creations in RUFH',
    {
      request: {
        method: 'POST',
        path: '/files',
        headers: { 'upload-draft-interop-version': 8, 'upload-complete': '?1' },
        body: 'hello',
      },
      status: 201,
    },
  ],
  [
    'creations of uploads in chunks',
    {
      request: {
        method: 'POST',
        path: '/v1/uploads/init',
        headers: json,
        body: JSON.stringify({ file_name: 'a.txt', total_size: 5 }),
      },
      status: 201,
    },
  ],
  [
    'questions about uploads',
    { request: { method: 'HEAD', path: `/files/${randomUUID()}`, headers: tus }, status: 404 },
  ],
  [
    'exports of uploads',
    { request: { method: 'GET', path: '/v1/admin/uploads?limit=100' }, status: 200, isAdmin: true },
  ],
  [
    'exports of the audit log',
    { request: { method: 'GET', path: '/v1/admin/audit?limit=100' }, status: 200, isAdmin: true },
  ],
  ['lists of keys', { request: { method: 'GET', path: '/v1/admin/keys' }, status: 200, isAdmin: true }],
]

it.each(floods)('a user who floods the server with %s does not hold others up', async (_what, flood) => {
  const { request, status, isAdmin = false } = flood
  const server = await serve()
  const many = 30
  let received = 0
  server.http.server.on('request', () => {
    received += 1
  })
  const send = async (actor: Actor) => {
    const headers = { ...request.headers, ...(await server.as(actor)) }
    return (await askFor(server.port, { body: '', ...request, headers })).status
  }
  const flooder = newUser('creator', isAdmin)
  const release = await holdDatabase(server)
  const answers: string[] = []
  const sent = Array.from({ length: many }, async () => answers.push(`flooder ${await send(flooder)}`))
  await until(() => received === many && isWaiting(server))

  const asked = send(newUser('creator', isAdmin)).then((answer) => answers.push(`other ${answer}`))
  await until(() => received > many)
  await release()
  await Promise.all([asked, ...sent])

  expect(answers).toContain(`other ${status}`)
  expect(answers.indexOf(`other ${status}`)).toBeLessThan(many / 2)
  expect(answers.filter((answer) => answer === `flooder ${status}`)).toHaveLength(many)
})

type Begin = (server: Served, headers: Record<string, string>) => RawRequest | Promise<RawRequest>

/** Creates an upload. @returns its path */
async function create({ port }: Served, headers: Record<string, string>, request: RawRequest): Promise<string> {
  const answer = await askFor(port, { body: '', ...request, headers: { ...request.headers, ...headers } })
  return answer.headers['location'] ?? `/v1/uploads/${String(answer.json()['upload_id'])}`
}

const creation = { ...tus, 'upload-length': 100 }
const inChunks = {
  method: 'POST',
  path: '/v1/uploads/init',
  headers: json,
  body: JSON.stringify({ file_name: 'a.bin', total_size: 100 }),
}
const patch = (path: string): RawRequest => ({
  method: 'PATCH',
  path,
  headers: { ...tus, ...octets, 'upload-offset': 0 },
})

/** The head of a request with a body of 100 bytes, and the bytes of it that arrive. */
const bodies: [string, Begin][] = [
  ['JSON', () => ({ method: 'POST', path: '/v1/uploads/init', headers: json, body: '{' })],
  [
    'JSON of an upload',
    async (server, headers) => {
      const path = await create(server, headers, inChunks)
      return { method: 'POST', path: `${path}/complete`, headers: json, body: '{' }
    },
  ],
  ['forms before their first file', () => ({ ...form, body: '--b\r\n' })],
  ['files in forms', () => ({ ...form, body: form.body.slice(0, form.body.indexOf('hello') + 2) })],
  ['files in one request', () => ({ method: 'PUT', path: '/v1/files/a.bin', body: 'he' })],
  ['creations', () => ({ method: 'POST', path: '/files', headers: { ...creation, ...octets }, body: 'he' })],
  [
    'creations in RUFH',
    () => ({
      method: 'POST',
      path: '/files',
      headers: { 'upload-draft-interop-version': 8, 'upload-complete': '?1' },
      body: 'he',
    }),
  ],
  [
    'appends',
    async (server, headers) => ({
      ...patch(await create(server, headers, { method: 'POST', path: '/files', headers: creation })),
      body: 'he',
    }),
  ],
  [
    'partial uploads',
    async (server, headers) => ({
      ...patch(
        await create(server, headers, {
          method: 'POST',
          path: '/files',
          headers: { ...creation, 'upload-concat': 'partial' },
        }),
      ),
      body: 'he',
    }),
  ],
  [
    'numbered chunks',
    async (server, headers) => ({
      method: 'PUT',
      path: `${await create(server, headers, inChunks)}/chunk`,
      headers: { 'x-chunk-index': 0 },
      body: 'he',
    }),
  ],
]

it.each(bodies)('a user who takes every place for bodies with %s makes room for others', async (_what, begin) => {
  const server = await serve({ BODIES_AT_ONCE: '3' })
  const flooder = await server.as(newUser())
  const put = async (headers: Record<string, string>) =>
    (await askFor(server.port, { method: 'PUT', path: '/v1/files/b.bin', headers, body: 'hello' })).status
  const isRefused = (connection: RawConnection) => connection.received().includes('HTTP/1.1 503')
  const started: RawConnection[] = []
  do {
    const { body = '', ...request } = await begin(server, flooder)
    const connection = await openRaw(server.port)
    onTestFinished(() => connection.cut())
    await connection.send(headOf({ ...request, headers: { ...request.headers, ...flooder, 'content-length': 100 } }))
    await connection.send(body)
    started.push(connection)
  } while (started.length < 20 && (await put(flooder)) !== 503)
  const held = started.filter((connection) => !isRefused(connection))

  const answer = await put(await server.as(newUser()))
  await until(() => held.some(isRefused))

  expect(answer).toBe(201)
})

it('a user who opens event streams without end gets five, and others get theirs', async () => {
  const server = await serve()
  const open = async (actor: Actor) => {
    const connection = await openRaw(server.port)
    onTestFinished(() => connection.cut())
    await connection.send(headOf({ method: 'GET', path: '/v1/events', headers: await server.as(actor) }))
    return Number((await connection.until(/^HTTP\/1.1 \d+ /)).slice(9, 12))
  }
  const flooder = newUser()

  const statuses = await Promise.all(Array.from({ length: 300 }, () => open(flooder)))

  expect(statuses.filter((status) => status === 200)).toHaveLength(5)
  expect(statuses.filter((status) => status === 429)).toHaveLength(295)
  expect(await open(newUser())).toBe(200)
})

it('a user may have as many requests in progress as are still free for others', async () => {
  const server = await serve({ REQUESTS_AT_ONCE: '8' })
  const list = async (headers: Record<string, string>) =>
    (await askFor(server.port, { method: 'GET', path: '/v1/uploads', headers })).status
  const flooder = await server.as(newUser())
  const other = await server.as(newUser())
  const release = await holdDatabase(server)
  const flood = Array.from({ length: 5 }, () => list(flooder))

  // The others wait for the database.
  const first = await Promise.race(flood)
  const asked = list(other)
  // The server's own work may wait as well.
  await until(() => server.database.connections().waiting >= 5)
  await release()

  expect(first).toBe(503)
  expect(await asked).toBe(200)
  expect((await Promise.all(flood)).toSorted()).toEqual([200, 200, 200, 200, 503])
  expect(await list(flooder)).toBe(200)
})
