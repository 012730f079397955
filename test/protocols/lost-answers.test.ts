/*
 * The answer to any request that changes an upload may be lost. A client that repeats such a request can continue, unless the upload has
 * ended, and the upload ends with one file or none.
 */
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { type Actor, userOf } from '../../src/core/upload.ts'
import { askFor, headOf, openRaw, type RawAnswer, type RawRequest } from '../support/raw-http.ts'
import { type TestApp, testApp } from '../support/test-app.ts'

interface Served {
  app: TestApp
  actor: Actor
  port: number
  headers: Record<string, string>
}

async function serve(): Promise<Served> {
  const app = await testApp()
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const actor = userOf(`ada-${randomUUID()}`, 'creator')
  const { port } = app.http.server.address() as AddressInfo
  return { app, actor, port, headers: await app.as(actor) }
}

const withHeaders = (request: RawRequest, headers: object) => ({
  body: '',
  ...request,
  headers: { ...request.headers, ...headers },
})

/** Sends a request and cuts the connection when the answer begins to arrive. */
async function loseAnswer({ port, headers }: Served, request: RawRequest): Promise<void> {
  const connection = await openRaw(port)
  onTestFinished(() => connection.cut())
  const sent = withHeaders(request, { ...headers, connection: 'keep-alive' })
  await connection.send(headOf(sent))
  await connection.send(sent.body)
  await connection.until(/HTTP\/1.1 2\d\d /)
  connection.cut()
}

const ask = ({ port, headers }: Served, request: RawRequest) => askFor(port, withHeaders(request, headers))

const tus = { 'tus-resumable': '1.0.0' }
const tusChunk = { ...tus, 'content-type': 'application/offset+octet-stream' }
const rufh = { 'upload-draft-interop-version': 8 }
const json = { 'content-type': 'application/json' }
const creation = JSON.stringify({ file_name: 'a.bin', total_size: 5 })
const idIn = ({ headers, json: read }: RawAnswer) =>
  headers['location']?.split('/').at(-1) ?? String(read()['upload_id'])

type RequestFor = (id: string) => RawRequest
const createInTus = (): RawRequest => ({ method: 'POST', path: '/files', headers: { ...tus, 'upload-length': 5 } })
const createInRufh = (): RawRequest => ({
  method: 'POST',
  path: '/files',
  headers: { ...rufh, 'upload-complete': '?0', 'upload-length': 5 },
})
const patch =
  (offset: number, body: string): RequestFor =>
  (id) => ({ method: 'PATCH', path: `/files/${id}`, headers: { ...tusChunk, 'upload-offset': offset }, body })
const append =
  (offset: number, body: string, isLast: boolean): RequestFor =>
  (id) => ({
    method: 'PATCH',
    path: `/files/${id}`,
    headers: {
      ...rufh,
      'content-type': 'application/partial-upload',
      'upload-offset': offset,
      'upload-complete': isLast ? '?1' : '?0',
    },
    body,
  })
const head: RequestFor = (id) => ({ method: 'HEAD', path: `/files/${id}`, headers: tus })
const headRufh: RequestFor = (id) => ({ method: 'HEAD', path: `/files/${id}`, headers: rufh })
const removeInRufh: RequestFor = (id) => ({ method: 'DELETE', path: `/files/${id}`, headers: rufh })
const remove: RequestFor = (id) => ({ method: 'DELETE', path: `/files/${id}`, headers: tus })

/** The current and the legacy routes for chunks. */
const routes = (['/v1/uploads', '/api/upload'] as const).map((prefix) => {
  const isLegacy = prefix === '/api/upload'
  const idHeader = (id: string) => (isLegacy ? { 'x-upload-id': id } : {})
  const path = (id: string, action: string) => (isLegacy ? `${prefix}/${action}` : `${prefix}/${id}/${action}`)
  const init = (): RawRequest => ({ method: 'POST', path: `${prefix}/init`, headers: json, body: creation })
  const chunk: RequestFor = (id) => ({
    method: 'PUT',
    path: path(id, 'chunk'),
    headers: { ...idHeader(id), 'content-type': 'application/octet-stream', 'x-chunk-index': 0 },
    body: 'hello',
  })
  const complete: RequestFor = (id) => ({
    method: 'POST',
    path: path(id, 'complete'),
    headers: { ...idHeader(id), ...json },
    body: JSON.stringify({ upload_id: id }),
  })
  const cancel: RequestFor = (id) => ({ method: 'DELETE', path: path(id, 'cancel'), headers: idHeader(id) })
  return { prefix, init, chunk, complete, cancel }
})

interface Row {
  name: string
  create(): RawRequest
  /** Requests whose answers arrive. */
  before: RequestFor[]
  /** The request whose answer is lost. */
  lost: RequestFor
  /** The requests that the client sends next. Default: the lost one. */
  again?: RequestFor[]
  /** The statuses of the answers to `again`. */
  status: number[]
  /** Requests that follow. */
  after: RequestFor[]
  /** The number of files in the end. */
  files: number
}

const rows: Row[] = [
  {
    name: 'the first PATCH in tus',
    create: createInTus,
    before: [],
    lost: patch(0, 'he'),
    again: [head, patch(2, 'llo')],
    status: [200, 204],
    after: [],
    files: 1,
  },
  {
    name: 'the first PATCH in tus, repeated without a HEAD',
    create: createInTus,
    before: [],
    lost: patch(0, 'he'),
    status: [409],
    after: [patch(2, 'llo')],
    files: 1,
  },
  {
    name: 'the last PATCH in tus',
    create: createInTus,
    before: [],
    lost: patch(0, 'hello'),
    again: [head, patch(5, '')],
    status: [200, 204],
    after: [],
    files: 1,
  },
  {
    name: 'HEAD of a complete upload in tus',
    create: createInTus,
    before: [patch(0, 'hello')],
    lost: head,
    status: [200],
    after: [],
    files: 1,
  },
  {
    name: 'DELETE in tus',
    create: createInTus,
    before: [patch(0, 'he')],
    lost: remove,
    again: [remove, remove, head],
    status: [204, 204, 410],
    after: [],
    files: 0,
  },
  {
    name: 'DELETE of a file in tus',
    create: createInTus,
    before: [patch(0, 'hello')],
    lost: remove,
    status: [204],
    after: [],
    files: 0,
  },
  {
    name: 'DELETE in RUFH',
    create: createInRufh,
    before: [append(0, 'he', false)],
    lost: removeInRufh,
    again: [removeInRufh, headRufh],
    status: [204, 410],
    after: [],
    files: 0,
  },
  {
    name: 'an append in RUFH',
    create: createInRufh,
    before: [],
    lost: append(0, 'he', false),
    status: [409],
    after: [append(2, 'llo', true)],
    files: 1,
  },
  {
    name: 'the last append in RUFH',
    create: createInRufh,
    before: [],
    lost: append(0, 'hello', true),
    again: [headRufh],
    status: [204],
    after: [],
    files: 1,
  },
  {
    name: 'PUT of a fingerprint',
    create: createInTus,
    before: [],
    lost: (id) => ({
      method: 'PUT',
      path: `/v1/uploads/${id}/fingerprint`,
      headers: json,
      body: '{"fingerprint":"a"}',
    }),
    status: [204],
    after: [patch(0, 'hello')],
    files: 1,
  },
  {
    name: 'DELETE of a complete file',
    create: createInTus,
    before: [patch(0, 'hello')],
    lost: (id) => ({ method: 'DELETE', path: `/v1/uploads/${id}` }),
    status: [410],
    after: [],
    files: 0,
  },
  ...routes.flatMap(({ prefix, init, chunk, complete, cancel }): Row[] => [
    { name: `a chunk at ${prefix}`, create: init, before: [], lost: chunk, status: [200], after: [complete], files: 1 },
    {
      name: `complete at ${prefix}`,
      create: init,
      before: [chunk],
      lost: complete,
      status: [200],
      after: [],
      files: 1,
    },
    { name: `cancel at ${prefix}`, create: init, before: [chunk], lost: cancel, status: [200], after: [], files: 0 },
  ]),
]

it.each(rows)('a request can be repeated after its answer was lost: $name', async (row) => {
  const served = await serve()
  const id = idIn(await ask(served, row.create()))
  for (const request of row.before) expect((await ask(served, request(id))).status).toBeLessThan(300)

  await loseAnswer(served, row.lost(id))
  const again: number[] = []
  for (const request of row.again ?? [row.lost]) again.push((await ask(served, request(id))).status)

  expect(again).toEqual(row.status)
  for (const request of row.after) expect((await ask(served, request(id))).status).toBeLessThan(300)
  await served.app.engine.drained()
  const uploads = await served.app.engine.list(served.actor, { limit: 9 })
  expect(uploads.filter(({ state }) => state === 'completed')).toHaveLength(row.files)
  expect([...served.app.store.objects.values()].map(String)).toEqual(row.files ? ['hello'] : [])
})

it.each(routes)(
  'an init at $prefix that is repeated after a lost answer yields one file',
  async ({ init, chunk, complete }) => {
    const served = await serve()

    await loseAnswer(served, init())
    const id = idIn(await ask(served, init()))
    for (const request of [chunk, complete]) expect((await ask(served, request(id))).status).toBe(200)

    const uploads = await served.app.engine.list(served.actor, { limit: 9 })
    expect(uploads.filter(({ state }) => state === 'completed')).toHaveLength(1)
    expect([...served.app.store.objects.values()].map(String)).toEqual(['hello'])
  },
)

it.each(routes)(
  'complete at $prefix, sent to two servers at once, yields one file',
  async ({ init, chunk, complete }) => {
    const served = await serve()
    const other = await testApp({}, { store: served.app.store })
    await other.http.listen({ host: '127.0.0.1', port: 0 })
    const onOther = { ...served, port: (other.http.server.address() as AddressInfo).port }
    const id = idIn(await ask(served, init()))
    await ask(served, chunk(id))

    const answers = await Promise.all([served, onOther, served, onOther].map((server) => ask(server, complete(id))))

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(new Set(answers.map(({ headers }) => headers['etag'])).size).toBe(1)
    await served.app.engine.drained()
    expect([...served.app.store.objects.values()].map(String)).toEqual(['hello'])
  },
)
