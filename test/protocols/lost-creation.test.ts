/* The answer to a creation is lost: the client repeats the creation, and its quota allows one of the two uploads only. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import * as tus from 'tus-js-client'
import { expect, it, onTestFinished } from 'vitest'
import { type Actor, userOf } from '../../src/core/upload.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { askFor, headOf, openRaw, type RawRequest } from '../support/raw-http.ts'
import { type TestApp, testApp } from '../support/test-app.ts'

const POLICIES = JSON.stringify({ creator: { totalBytes: 1000 } })
const size = 600

async function serve() {
  const app = await testApp({ POLICIES })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const actor = userOf(`ada-${randomUUID()}`, 'creator')
  const { port } = app.http.server.address() as AddressInfo
  return { app, actor, port, headers: await app.as(actor) }
}

const statesOf = async ({ engine }: TestApp, actor: Actor) =>
  (await engine.list(actor, { limit: 9 })).map(({ state }) => state)

const inTus = { method: 'POST', path: '/files', headers: { 'tus-resumable': '1.0.0', 'upload-length': size } }
const json = JSON.stringify({ file_name: 'a.bin', total_size: size })
const creations: [string, RawRequest][] = [
  ['tus', { ...inTus, body: '' }],
  [
    'tus with its first bytes',
    { ...inTus, headers: { ...inTus.headers, 'content-type': 'application/offset+octet-stream' }, body: 'hello' },
  ],
  [
    'RUFH',
    {
      ...inTus,
      headers: { 'upload-draft-interop-version': 8, 'upload-complete': '?0', 'upload-length': size },
      body: 'hello',
    },
  ],
  ['REST', { method: 'POST', path: '/v1/uploads/init', headers: { 'content-type': 'application/json' }, body: json }],
]

/** Creates an upload on a connection that is cut after the answer begins to arrive (`lost`), or stays open (`kept`). */
async function create(port: number, headers: object, request: RawRequest, end: 'lost' | 'kept'): Promise<void> {
  const connection = await openRaw(port)
  onTestFinished(() => connection.cut())
  const sent = { ...request, headers: { ...request.headers, ...headers, connection: 'keep-alive' } }
  await connection.send(headOf(sent))
  await connection.send(request.body!)
  await connection.until(/HTTP\/1.1 201 /)
  if (end === 'lost') connection.cut()
}

it.each(creations)('in %s, a creation replaces the upload whose answer was lost', async (_protocol, request) => {
  const { app, actor, port, headers } = await serve()
  await create(port, headers, request, 'lost')

  const again = () => askFor(port, { ...request, headers: { ...request.headers, ...headers } })
  await expect.poll(async () => (await again()).status).toBe(201)

  expect(await statesOf(app, actor)).toEqual(['receiving', 'cancelled'])
})

it.each(creations)('in %s, a creation exceeds the quota when the first answer arrived', async (_, request) => {
  const { app, actor, port, headers } = await serve()
  await create(port, headers, request, 'kept')

  const other = await askFor(port, { ...request, headers: { ...request.headers, ...headers } })

  expect(other.status).toBe(403)
  expect(await statesOf(app, actor)).toEqual(['receiving'])
})

it('an upload that got bytes later is not replaced, although its connection ended', async () => {
  const { app, actor, port, headers } = await serve()
  const [, request] = creations[0]!
  await create(port, headers, request, 'lost')
  const [{ id } = { id: '' }] = await app.engine.list(actor, { limit: 1 })
  const chunk = { 'tus-resumable': '1.0.0', 'upload-offset': 0, 'content-type': 'application/offset+octet-stream' }
  await askFor(port, { method: 'PATCH', path: `/files/${id}`, headers: { ...chunk, ...headers }, body: 'hello' })

  const other = await askFor(port, { ...request, headers: { ...request.headers, ...headers } })

  expect(other.status).toBe(403)
  expect(await statesOf(app, actor)).toEqual(['receiving'])
})

it('tus-js-client ends with one file after it lost the answer to a creation', async () => {
  const { app, actor, port, headers } = await serve()
  const proxy = await startFaultProxy({ host: '127.0.0.1', port })
  onTestFinished(() => proxy.close())
  const bytes = randomBytes(size)
  proxy.set({ dropReply: true })

  const sent = new Promise<void>((resolve, reject) => {
    new tus.Upload(bytes as never, {
      endpoint: `http://127.0.0.1:${proxy.port}/files`,
      headers,
      retryDelays: [20, 20, 20],
      onError: reject,
      onSuccess: () => resolve(),
    }).start()
  })
  await expect.poll(() => statesOf(app, actor)).toEqual(['receiving'])
  proxy.set({})
  proxy.cutAll()
  await sent

  expect(await statesOf(app, actor)).toEqual(['completed', 'cancelled'])
  expect([...app.store.objects.values()]).toEqual([bytes])
})
