/* A body that brings more bytes than its file has is refused, and the refusal is all that happens: it never completes an upload. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { askFor, type RawAnswer, type RawRequest } from '../support/raw-http.ts'
import { testApp } from '../support/test-app.ts'
import { appendHeaders, interop, lastIn } from './rufh/serve.ts'

const file = randomBytes(10)
const longer = Buffer.concat([file, randomBytes(1)])
const framings = ['Content-Length', 'chunks'] as const
const rufhVersions = [3, 4, 5, 6, 7, 8, 9, 10]
const tus = { 'tus-resumable': '1.0.0' }
const tusChunk = { ...tus, 'content-type': 'application/offset+octet-stream' }

type Framing = (typeof framings)[number]

async function serve() {
  const app = await testApp()
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const actor = userOf(`ada-${randomUUID()}`, 'creator')
  const { port } = app.http.server.address() as AddressInfo
  const token = await app.as(actor)

  function ask(request: RawRequest): Promise<RawAnswer> {
    return askFor(port, { ...request, headers: { ...request.headers, ...token } })
  }
  /** Sends `body` in the framing of the test. */
  function send(framing: Framing, request: RawRequest, body: Buffer): Promise<RawAnswer> {
    if (framing === 'Content-Length') return ask({ ...request, body })
    const chunks = [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]
    return ask({
      ...request,
      headers: { ...request.headers, 'transfer-encoding': 'chunked' },
      body: Buffer.concat(chunks),
    })
  }
  async function begin(): Promise<string> {
    const answer = await ask({ method: 'POST', path: '/files', headers: { ...tus, 'upload-length': 10 }, body: '' })
    return new URL(answer.headers['location']!, 'http://files.example').pathname
  }
  const states = async () => (await app.engine.list(actor, { limit: 9 })).map(({ state }) => state)
  const head = (path: string) => ask({ method: 'HEAD', path, headers: tus })
  return { app, ask, send, begin, states, head }
}

const expectRefused = ({ status }: RawAnswer) => {
  expect(status).toBeGreaterThanOrEqual(400)
  expect(status).toBeLessThan(500)
}

it.each(framings)(
  'a PATCH of tus in %s stores nothing, and sent as it should be completes the file',
  async (framing) => {
    const { send, begin, head, states } = await serve()
    const path = await begin()
    const patch: RawRequest = { method: 'PATCH', path, headers: { ...tusChunk, 'upload-offset': 0 } }

    const refused = await send(framing, patch, longer)
    const told = await head(path)
    const again = await send(framing, patch, file)

    expect(refused.status).toBe(400)
    expect([told.status, told.headers['upload-offset']]).toEqual([200, '0'])
    expect([again.status, again.headers['upload-offset']]).toEqual([204, '10'])
    expect(await states()).toEqual(['completed'])
  },
)

it.each(framings)('a PATCH of tus with a checksum in %s stores nothing', async (framing) => {
  const { send, begin, head } = await serve()
  const path = await begin()
  const headers = { ...tusChunk, 'upload-offset': 0, 'upload-checksum': `sha1 ${Buffer.alloc(20).toString('base64')}` }

  expect((await send(framing, { method: 'PATCH', path, headers }, longer)).status).toBe(400)
  expect((await head(path)).headers['upload-offset']).toBe('0')
})

it.each(framings)('a POST of tus in %s leaves no upload', async (framing) => {
  const { send, states } = await serve()
  const post: RawRequest = { method: 'POST', path: '/files', headers: { ...tusChunk, 'upload-length': 10 } }

  expectRefused(await send(framing, post, longer))

  expect(await states()).not.toContain('receiving')
  expect(await states()).not.toContain('completed')
  expect((await send(framing, post, file)).status).toBe(201)
  expect(await states()).toContain('completed')
})

const cases = framings.flatMap((framing) => [true, false].map((isLast) => ({ framing, isLast })))

it.each(rufhVersions)('a PATCH of RUFH %i completes nothing, however it is framed', async (version) => {
  const { send, begin, head } = await serve()
  for (const { framing, isLast } of cases) {
    const path = await begin()
    const patch = (last: boolean): RawRequest => ({ method: 'PATCH', path, headers: appendHeaders(version, 0, last) })

    expectRefused(await send(framing, patch(isLast), longer))
    const told = await head(path)

    const what = `${framing}, last: ${isLast}`
    if (version >= 8) {
      expect(told.status, what).toBe(410)
    } else {
      expect([told.status, told.headers['upload-offset']], what).toEqual([200, '0'])
      expect((await send(framing, patch(true), file)).status, what).toBeLessThan(300)
    }
  }
})

it.each(rufhVersions)('a POST of RUFH %i completes nothing, however it is framed', async (version) => {
  const { app, send, states } = await serve()
  for (const { framing, isLast } of cases) {
    const headers = (last: boolean) => ({ ...interop(version), ...lastIn(version, last), 'upload-length': 10 })

    expectRefused(await send(framing, { method: 'POST', path: '/files', headers: headers(isLast) }, longer))

    await app.engine.drained()
    expect(await states(), `${framing}, last: ${isLast}`).not.toContain('completed')
  }
  const left = await states()
  expect(left).toEqual(version >= 8 ? ['cancelled', 'cancelled'] : ['receiving', 'receiving'])
})

it.each(framings)('a chunk of REST in %s is not taken, and the right one is', async (framing) => {
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
