/*
 * The answer to any request that changes something may be lost. Whoever asks the same once more is not told that it failed, unless it is
 * over for good, and the upload comes to one file or to none.
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

/** Asks, and ends the connection when the answer has begun to arrive. */
async function loseAnswer({ port, headers }: Served, request: RawRequest): Promise<void> {
  const connection = await openRaw(port)
  onTestFinished(() => connection.cut())
  const asked = withHeaders(request, { ...headers, connection: 'keep-alive' })
  await connection.send(headOf(asked))
  await connection.send(asked.body)
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

type Requests = (id: string) => RawRequest
const beginTus = (): RawRequest => ({ method: 'POST', path: '/files', headers: { ...tus, 'upload-length': 5 } })
const beginRufh = (): RawRequest => ({
  method: 'POST',
  path: '/files',
  headers: { ...rufh, 'upload-complete': '?0', 'upload-length': 5 },
})
const patch =
  (offset: number, body: string): Requests =>
  (id) => ({ method: 'PATCH', path: `/files/${id}`, headers: { ...tusChunk, 'upload-offset': offset }, body })
const append =
  (offset: number, body: string, isLast: boolean): Requests =>
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
const head: Requests = (id) => ({ method: 'HEAD', path: `/files/${id}`, headers: tus })
const headRufh: Requests = (id) => ({ method: 'HEAD', path: `/files/${id}`, headers: rufh })
const remove: Requests = (id) => ({ method: 'DELETE', path: `/files/${id}`, headers: tus })

/** The two spellings of the contract for chunks. */
const spellings = (['/v1/uploads', '/api/upload'] as const).map((at) => {
  const isOlder = at === '/api/upload'
  const named = (id: string) => (isOlder ? { 'x-upload-id': id } : {})
  const path = (id: string, verb: string) => (isOlder ? `${at}/${verb}` : `${at}/${id}/${verb}`)
  const init = (): RawRequest => ({ method: 'POST', path: `${at}/init`, headers: json, body: creation })
  const chunk: Requests = (id) => ({
    method: 'PUT',
    path: path(id, 'chunk'),
    headers: { ...named(id), 'content-type': 'application/octet-stream', 'x-chunk-index': 0 },
    body: 'hello',
  })
  const complete: Requests = (id) => ({
    method: 'POST',
    path: path(id, 'complete'),
    headers: { ...named(id), ...json },
    body: JSON.stringify({ upload_id: id }),
  })
  const cancel: Requests = (id) => ({ method: 'DELETE', path: path(id, 'cancel'), headers: named(id) })
  return { at, init, chunk, complete, cancel }
})

interface Row {
  name: string
  begin(): RawRequest
  /** Requests whose answers are heard. */
  before: Requests[]
  /** The request whose answer is lost, and which is sent again: a list when the client asks something else first. */
  lost: Requests
  again?: Requests[]
  /** What the repetition is answered with. */
  status: number[]
  /** What follows. */
  after: Requests[]
  files: number
}

const rows: Row[] = [
  {
    name: 'the first chunk of tus',
    begin: beginTus,
    before: [],
    lost: patch(0, 'he'),
    again: [head, patch(2, 'llo')],
    status: [200, 204],
    after: [],
    files: 1,
  },
  {
    name: 'the first chunk of tus, sent again as it was',
    begin: beginTus,
    before: [],
    lost: patch(0, 'he'),
    status: [409],
    after: [patch(2, 'llo')],
    files: 1,
  },
  {
    name: 'the last chunk of tus',
    begin: beginTus,
    before: [],
    lost: patch(0, 'hello'),
    again: [head, patch(5, '')],
    status: [200, 204],
    after: [],
    files: 1,
  },
  {
    name: 'HEAD of a whole upload of tus',
    begin: beginTus,
    before: [patch(0, 'hello')],
    lost: head,
    status: [200],
    after: [],
    files: 1,
  },
  {
    name: 'DELETE of tus',
    begin: beginTus,
    before: [patch(0, 'he')],
    lost: remove,
    status: [410],
    after: [],
    files: 0,
  },
  {
    name: 'a chunk of RUFH',
    begin: beginRufh,
    before: [],
    lost: append(0, 'he', false),
    status: [409],
    after: [append(2, 'llo', true)],
    files: 1,
  },
  {
    name: 'the end of RUFH',
    begin: beginRufh,
    before: [],
    lost: append(0, 'hello', true),
    again: [headRufh],
    status: [204],
    after: [],
    files: 1,
  },
  {
    name: 'DELETE of RUFH',
    begin: beginRufh,
    before: [],
    lost: (id) => ({ method: 'DELETE', path: `/files/${id}`, headers: rufh }),
    status: [410],
    after: [],
    files: 0,
  },
  {
    name: 'a mark',
    begin: beginTus,
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
    name: 'DELETE of a whole file',
    begin: beginTus,
    before: [patch(0, 'hello')],
    lost: (id) => ({ method: 'DELETE', path: `/v1/uploads/${id}` }),
    status: [410],
    after: [],
    files: 0,
  },
  ...spellings.flatMap(({ at, init, chunk, complete, cancel }): Row[] => [
    { name: `a chunk under ${at}`, begin: init, before: [], lost: chunk, status: [200], after: [complete], files: 1 },
    { name: `complete under ${at}`, begin: init, before: [chunk], lost: complete, status: [200], after: [], files: 1 },
    { name: `cancel under ${at}`, begin: init, before: [chunk], lost: cancel, status: [200], after: [], files: 0 },
  ]),
]

it.each(rows)('after a lost answer the same asked again comes to the same: $name', async (row) => {
  const served = await serve()
  const id = idIn(await ask(served, row.begin()))
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

it.each(spellings)('an init under $at whose answer was lost comes to one file', async ({ init, chunk, complete }) => {
  const served = await serve()

  await loseAnswer(served, init())
  const id = idIn(await ask(served, init()))
  for (const request of [chunk, complete]) expect((await ask(served, request(id))).status).toBe(200)

  const uploads = await served.app.engine.list(served.actor, { limit: 9 })
  expect(uploads.filter(({ state }) => state === 'completed')).toHaveLength(1)
  expect([...served.app.store.objects.values()].map(String)).toEqual(['hello'])
})

it.each(spellings)(
  'complete under $at, asked of two servers at once, is one file',
  async ({ init, chunk, complete }) => {
    const served = await serve()
    const other = await testApp({}, { store: served.app.store })
    await other.http.listen({ host: '127.0.0.1', port: 0 })
    const there = { ...served, port: (other.http.server.address() as AddressInfo).port }
    const id = idIn(await ask(served, init()))
    await ask(served, chunk(id))

    const answers = await Promise.all([served, there, served, there].map((one) => ask(one, complete(id))))

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(new Set(answers.map(({ headers }) => headers['etag'])).size).toBe(1)
    await served.app.engine.drained()
    expect([...served.app.store.objects.values()].map(String)).toEqual(['hello'])
  },
)
