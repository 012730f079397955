/* A request creates an upload with the whole file, and its answer is lost: the client sends the whole request again. */
import { randomBytes, randomUUID } from 'node:crypto'
import * as tus from 'tus-js-client'
import { expect, it, onTestFinished } from 'vitest'
import { type Actor, userOf } from '../../src/core/upload.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { testDatabase } from '../support/open-engine.ts'
import { askFor, headOf, openRaw, type RawRequest } from '../support/raw-http.ts'
import { portOf, sharedApp } from '../support/test-app.ts'

const size = 600
const boundary = 'the-end-of-a-file'

async function serve(env: Record<string, string> = {}) {
  const app = await sharedApp(env)
  const actor = userOf(`ada-${randomUUID()}`, 'creator')
  const earlier = new Set(app.store.objects.keys())
  const objects = () => [...app.store.objects].filter(([key]) => !earlier.has(key)).map(([, object]) => object)
  return { app, actor, objects, port: await portOf(app), headers: await app.as(actor) }
}

const metadata = `filename ${Buffer.from('a.bin').toString('base64')}`
const chunkType = 'application/offset+octet-stream'
const tusPost = (more: object) => (body: Buffer) => ({
  method: 'POST',
  path: '/files',
  headers: { 'tus-resumable': '1.0.0', 'upload-metadata': metadata, 'content-type': chunkType, ...more },
  body,
})
const rufhPost = (version: number, completeness: object) => (body: Buffer) => ({
  method: 'POST',
  path: '/files',
  headers: {
    'upload-draft-interop-version': version,
    ...completeness,
    'content-disposition': 'attachment; filename="a.bin"',
  },
  body,
})
const form = (body: Buffer) => ({
  method: 'POST',
  path: '/v1/files',
  headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  body: Buffer.concat([
    Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n`),
    body,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]),
})

/** Requests with a whole file of `size` bytes. */
const requests: [string, (body: Buffer) => RawRequest][] = [
  ['tus', tusPost({ 'upload-length': size })],
  ['a partial upload of tus', tusPost({ 'upload-length': size, 'upload-concat': 'partial' })],
  ['RUFH 3', rufhPost(3, { 'upload-incomplete': '?0' })],
  ['RUFH 5', rufhPost(5, { 'upload-complete': '?1' })],
  ['RUFH 8', rufhPost(8, { 'upload-complete': '?1' })],
  ['PUT', (body) => ({ method: 'PUT', path: '/v1/files/a.bin', body })],
  ['a form', form],
]

/** Sends a request on a connection that is cut after the answer begins to arrive (`lost`), or stays open (`kept`). */
async function send(port: number, headers: object, request: RawRequest, end: 'lost' | 'kept'): Promise<string> {
  const connection = await openRaw(port)
  onTestFinished(() => connection.cut())
  await connection.send(headOf({ ...request, headers: { ...request.headers, ...headers, connection: 'keep-alive' } }))
  await connection.send(request.body!)
  const answer = await connection.until(/HTTP\/1.1 20[01] /)
  if (end === 'lost') {
    connection.cut()
    await connection.closed()
  }
  return answer
}

const sendAgain = (port: number, headers: object, request: RawRequest) =>
  askFor(port, { ...request, headers: { ...request.headers, ...headers } })

/** The states of all uploads of the user, partial ones included, newest first. */
async function statesOf({ id }: Actor): Promise<string[]> {
  const database = await testDatabase()
  const rows = await database.query<{ state: string }>(
    { name: 'states', text: 'select state from upload_sessions where owner_id = $1 order by created_at desc' },
    [id],
  )
  return rows.map(({ state }) => state)
}

/** Resolves once the server has marked the answer of an upload as lost. */
async function untilAnswerLost({ id }: Actor): Promise<void> {
  const database = await testDatabase()
  const marked = {
    name: 'marked',
    text: 'select count(*)::int as n from upload_sessions where owner_id = $1 and is_answer_lost',
  }
  await expect.poll(async () => (await database.query<{ n: number }>(marked, [id]))[0]!.n).toBe(1)
}

const bytes = randomBytes(size)

it.each(requests)('in %s, a file sent again after a lost answer is stored once', async (_protocol, request) => {
  const { app, actor, objects, port, headers } = await serve()
  const first = await send(port, headers, request(bytes), 'lost')
  await untilAnswerLost(actor)

  const second = await sendAgain(port, headers, request(bytes))

  expect(second.status).toBe(201)
  const id = /(?:location: \S*\/|"id":")([0-9a-f-]{36})/i.exec(first)![1]
  expect(second.headers['location'] ?? second.body).toContain(id)
  expect(await statesOf(actor)).toEqual(['cancelled', 'completed'])
  await app.engine.drained()
  expect(objects().filter((object) => object.equals(bytes))).toHaveLength(1)
})

it.each(requests)('in %s, other bytes with the same name are another file', async (_protocol, request) => {
  const { actor, port, headers } = await serve()
  await send(port, headers, request(bytes), 'lost')
  await untilAnswerLost(actor)

  const second = await sendAgain(port, headers, request(randomBytes(size)))

  expect(second.status).toBe(201)
  expect(await statesOf(actor)).toEqual(['completed', 'completed'])
})

it.each(requests)('in %s, a file sent again after its answer arrived is stored twice', async (_protocol, request) => {
  const { actor, port, headers } = await serve()
  await send(port, headers, request(bytes), 'kept')

  const second = await sendAgain(port, headers, request(bytes))

  expect(second.status).toBe(201)
  expect(await statesOf(actor)).toEqual(['completed', 'completed'])
})

it.each(requests)(
  'in %s, a file sent again after the second answer arrived is stored twice',
  async (_protocol, request) => {
    const { actor, port, headers } = await serve()
    await send(port, headers, request(bytes), 'lost')
    await untilAnswerLost(actor)
    await sendAgain(port, headers, request(bytes))

    const third = await sendAgain(port, headers, request(bytes))

    expect(third.status).toBe(201)
    expect(await statesOf(actor)).toEqual(['completed', 'cancelled', 'completed'])
  },
)

it.each(requests)('in %s, a file is stored once even if several answers are lost', async (_protocol, request) => {
  const { actor, port, headers } = await serve()
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await send(port, headers, request(bytes), 'lost')
    await untilAnswerLost(actor)
  }

  expect((await sendAgain(port, headers, request(bytes))).status).toBe(201)
  expect(await statesOf(actor)).toEqual(['cancelled', 'cancelled', 'cancelled', 'completed'])
})

// A form does not state the lengths of its files, so a repeated form reserves all of the remaining quota.
const sized = requests.filter(([protocol]) => protocol !== 'a form')

it.each(sized)('in %s, a repeated file needs no further quota', async (_protocol, request) => {
  const { actor, port, headers } = await serve({
    POLICIES: JSON.stringify({ creator: { maxSize: 900, totalBytes: 900 } }),
  })
  await send(port, headers, request(bytes), 'lost')
  await untilAnswerLost(actor)

  const second = await sendAgain(port, headers, request(bytes))
  const other = await sendAgain(port, headers, request(randomBytes(size)))

  expect([second.status, other.status]).toEqual([201, 403])
  expect((await statesOf(actor)).filter((state) => state === 'completed')).toHaveLength(1)
})

it.each(sized)('in %s, another file beyond the quota does not replace the first one', async (_, request) => {
  const { actor, objects, port, headers } = await serve({
    POLICIES: JSON.stringify({ creator: { maxSize: 900, totalBytes: 900 } }),
  })
  await send(port, headers, request(bytes), 'lost')
  await untilAnswerLost(actor)

  const other = await sendAgain(port, headers, request(randomBytes(size)))

  expect(other.status).toBe(403)
  expect(await statesOf(actor)).toContain('completed')
  expect(objects().filter((object) => object.equals(bytes))).toHaveLength(1)
})

it('an empty file that is created again after a lost answer is stored once', async () => {
  const { actor, port, headers } = await serve()
  const request = tusPost({ 'upload-length': 0 })(Buffer.alloc(0))
  await send(port, headers, request, 'lost')
  await untilAnswerLost(actor)

  expect((await sendAgain(port, headers, request)).status).toBe(201)
  expect(await statesOf(actor)).toEqual(['cancelled', 'completed'])
})

it('an empty file that is created again is the earlier one, also at its quota', async () => {
  const { actor, port, headers } = await serve({ POLICIES: JSON.stringify({ creator: { totalFiles: 1 } }) })
  const { headers: all, ...request } = tusPost({ 'upload-length': 0 })(Buffer.alloc(0))
  const { 'content-type': _, ...withoutBody } = all
  const first = await send(port, headers, { ...request, headers: withoutBody }, 'lost')
  await untilAnswerLost(actor)

  const second = await sendAgain(port, headers, { ...request, headers: withoutBody })

  expect(second.status).toBe(201)
  expect(first).toContain(String(second.headers['location']))
  expect(await statesOf(actor)).toEqual(['completed'])
})

it('the same file of another user is stored as well', async () => {
  const { app, actor, port, headers } = await serve()
  const request = tusPost({ 'upload-length': size })(bytes)
  await send(port, headers, request, 'lost')
  await untilAnswerLost(actor)
  const other = userOf(`ben-${randomUUID()}`, 'creator')

  expect((await sendAgain(port, await app.as(other), request)).status).toBe(201)
  expect([await statesOf(actor), await statesOf(other)]).toEqual([['completed'], ['completed']])
})

it.each([
  ['uploadDataDuringCreation', {}],
  ['parallelUploads', { parallelUploads: 2 }],
  ['ietf-draft-05', { protocol: 'ietf-draft-05' as const }],
])('tus-js-client with data in the creation ends with one file: %s', async (_name, options) => {
  const { app, actor, objects, port, headers } = await serve()
  const proxy = await startFaultProxy({ host: '127.0.0.1', port })
  onTestFinished(() => proxy.close())
  proxy.set({ dropReply: true })
  const parts = 'parallelUploads' in options ? 2 : 1

  const sent = new Promise<void>((resolve, reject) => {
    new tus.Upload(bytes as never, {
      endpoint: `http://127.0.0.1:${proxy.port}/files`,
      headers,
      uploadDataDuringCreation: true,
      retryDelays: [20, 20, 20],
      onError: reject,
      onSuccess: () => resolve(),
      ...options,
    }).start()
  })
  await expect.poll(() => statesOf(actor)).toEqual(Array(parts).fill('completed'))
  proxy.set({})
  proxy.cutAll()
  await sent
  await app.engine.drained()

  expect(
    (await app.engine.list(actor, { limit: 9 })).map(({ state }) => state).filter((state) => state !== 'cancelled'),
  ).toEqual(['completed'])
  expect(objects()).toEqual([bytes])
})
