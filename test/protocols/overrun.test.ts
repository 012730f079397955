/* A body that is longer than its file is rejected and never completes an upload. */
import { randomBytes, randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { askFor, type RawAnswer, type RawRequest } from '../support/raw-http.ts'
import { portOf, sharedApp } from '../support/test-app.ts'
import { appendHeaders, interop, lastIn } from './rufh/serve.ts'

const file = randomBytes(10)
const longer = Buffer.concat([file, randomBytes(1)])
const framings = ['Content-Length', 'chunked'] as const
const rufhVersions = [3, 4, 5, 6, 7, 8, 9, 10]
const tus = { 'tus-resumable': '1.0.0' }
const tusChunk = { ...tus, 'content-type': 'application/offset+octet-stream' }

type Framing = (typeof framings)[number]

async function serve() {
  const app = await sharedApp()
  const actor = userOf(`ada-${randomUUID()}`, 'creator')
  const port = await portOf(app)
  const token = await app.as(actor)

  function ask(request: RawRequest): Promise<RawAnswer> {
    return askFor(port, { ...request, headers: { ...request.headers, ...token } })
  }
  /** Sends `body` with Content-Length or with chunked transfer coding. */
  function send(framing: Framing, request: RawRequest, body: Buffer): Promise<RawAnswer> {
    if (framing === 'Content-Length') return ask({ ...request, body })
    const chunks = [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]
    return ask({
      ...request,
      headers: { ...request.headers, 'transfer-encoding': 'chunked' },
      body: Buffer.concat(chunks),
    })
  }
  async function create(): Promise<string> {
    const answer = await ask({ method: 'POST', path: '/files', headers: { ...tus, 'upload-length': 10 }, body: '' })
    return new URL(answer.headers['location']!, 'http://files.example').pathname
  }
  const states = async () => (await app.engine.list(actor, { limit: 9 })).map(({ state }) => state)
  const head = (path: string) => ask({ method: 'HEAD', path, headers: tus })
  return { app, ask, send, create, states, head }
}

const expectRefused = ({ status }: RawAnswer) => {
  expect(status).toBeGreaterThanOrEqual(400)
  expect(status).toBeLessThan(500)
}

it.each(framings)('a PATCH in tus (%s) stores nothing, and one of the right length completes', async (framing) => {
  const { send, create, head, states } = await serve()
  const path = await create()
  const patch: RawRequest = { method: 'PATCH', path, headers: { ...tusChunk, 'upload-offset': 0 } }

  const refused = await send(framing, patch, longer)
  const offset = await head(path)
  const again = await send(framing, patch, file)

  expect(refused.status).toBe(400)
  expect([offset.status, offset.headers['upload-offset']]).toEqual([200, '0'])
  expect([again.status, again.headers['upload-offset']]).toEqual([204, '10'])
  expect(await states()).toEqual(['completed'])
})

it.each(framings)('a PATCH in tus with a checksum (%s) stores nothing', async (framing) => {
  const { send, create, head } = await serve()
  const path = await create()
  const headers = { ...tusChunk, 'upload-offset': 0, 'upload-checksum': `sha1 ${Buffer.alloc(20).toString('base64')}` }

  expect((await send(framing, { method: 'PATCH', path, headers }, longer)).status).toBe(400)
  expect((await head(path)).headers['upload-offset']).toBe('0')
})

it.each(framings)('a POST in tus (%s) leaves no upload', async (framing) => {
  const { send, states } = await serve()
  const post: RawRequest = { method: 'POST', path: '/files', headers: { ...tusChunk, 'upload-length': 10 } }

  expectRefused(await send(framing, post, longer))

  expect(await states()).not.toContain('receiving')
  expect(await states()).not.toContain('completed')
  expect((await send(framing, post, file)).status).toBe(201)
  expect(await states()).toContain('completed')
})

const cases = framings.flatMap((framing) => [true, false].map((isLast) => ({ framing, isLast })))

it.each(rufhVersions)('a PATCH in RUFH %i completes nothing, however it is framed', async (version) => {
  const { send, create, head } = await serve()
  for (const { framing, isLast } of cases) {
    const path = await create()
    const patch = (last: boolean): RawRequest => ({ method: 'PATCH', path, headers: appendHeaders(version, 0, last) })

    expectRefused(await send(framing, patch(isLast), longer))
    const offset = await head(path)

    const label = `${framing}, last: ${isLast}`
    if (version >= 8) {
      expect(offset.status, label).toBe(410)
    } else {
      expect([offset.status, offset.headers['upload-offset']], label).toEqual([200, '0'])
      expect((await send(framing, patch(true), file)).status, label).toBeLessThan(300)
    }
  }
})

it.each(rufhVersions)('a POST in RUFH %i completes nothing, however it is framed', async (version) => {
  const { app, send, states } = await serve()
  for (const { framing, isLast } of cases) {
    const headers = (last: boolean) => ({ ...interop(version), ...lastIn(version, last), 'upload-length': 10 })

    expectRefused(await send(framing, { method: 'POST', path: '/files', headers: headers(isLast) }, longer))

    await app.engine.drained()
    expect(await states(), `${framing}, last: ${isLast}`).not.toContain('completed')
  }
  expect(await states()).toEqual(version >= 8 ? ['cancelled', 'cancelled'] : ['receiving', 'receiving'])
})

it.each(framings)('a chunk in REST (%s) is rejected, and one of the right length is stored', async (framing) => {
  const { ask, send, states } = await serve()
  const created = await ask({
    method: 'POST',
    path: '/v1/uploads/init',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ file_name: 'a.bin', total_size: 10 }),
  })
  const id = created.json()['upload_id']
  const chunk: RawRequest = { method: 'PUT', path: `/v1/uploads/${id}/chunk`, headers: { 'x-chunk-index': 0 } }
  const complete = () => ask({ method: 'POST', path: `/v1/uploads/${id}/complete`, body: '' })

  expect((await send(framing, chunk, longer)).status).toBe(400)
  expectRefused(await complete())
  expect(await states()).toEqual(['receiving'])
  expect((await send(framing, chunk, file)).status).toBe(200)
  expect((await complete()).status).toBe(200)
})
