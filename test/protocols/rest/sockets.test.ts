import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { userOf } from '../../../src/core/upload.ts'
import { watchBodies } from '../../support/arrival.ts'
import { until } from '../../support/until.ts'
import { openRest, type RestApp } from './open-rest.ts'

const bodyIdleMs = 300

interface Served {
  app: RestApp
  /** The user of every connection. The tests look at the uploads of this user only. */
  user: string
  usedMemory(): number
  /** Waits until the server has read `bytes` of a body. */
  arrived(bytes: number): Promise<void>
  /** Waits until the user has `count` uploads. */
  created(count: number): Promise<unknown>
  /** Opens a connection and sends `head` (a request line and headers) and `bytes`. */
  send(head: string, bytes?: Buffer | string): Promise<Socket>
}

async function serve(): Promise<Served> {
  const user = randomUUID()
  const budget = createMemoryBudget(1024 ** 2)
  const app = await openRest({ bodyIdleMs, budget })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  return {
    app,
    user,
    usedMemory: () => budget.used,
    arrived: watchBodies(app.http.server),
    created: (count) =>
      until(async () => (await app.engine.list(userOf(user, 'creator'), { limit: 9 })).length >= count),
    async send(head, bytes = '') {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.on('error', () => {})
      onTestFinished(() => void socket.destroy())
      await once(socket, 'connect')
      socket.write(`${head}\r\nHost: a\r\nAuthorization: Bearer ${user}:creator\r\n\r\n`)
      socket.write(bytes)
      return socket
    },
  }
}

/** Everything that the server sends until it closes the connection. */
async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  socket.on('end', () => socket.end())
  await once(socket, 'close')
  return text
}

async function init({ app, user }: Served, size: number): Promise<string> {
  const payload = { file_name: 'notes.txt', total_size: size }
  const request = { method: 'POST', url: '/v1/uploads/init', payload, token: `${user}:creator` } as const
  return (await app.ask(request)).body.upload_id
}

/** Expects that every upload is cancelled, and that the store is empty. */
async function expectNothing({ app, user }: Served): Promise<void> {
  const states = async () => (await app.engine.list(userOf(user, 'creator'), { limit: 9 })).map(({ state }) => state)
  await expect.poll(states).toSatisfy((all: string[]) => all.length > 0 && all.every((state) => state === 'cancelled'))
  await app.engine.drained()
  await expect.poll(() => app.store.objects.size + app.store.multiparts.size).toBe(0)
}

const form = (more: string) =>
  `--b0\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nfirst file\r\n--b0\r\n${more}`
const second = 'Content-Disposition: form-data; name="f"; filename="b.txt"\r\n\r\nhalf of the sec'

describe('a connection that breaks', () => {
  it.each([
    ['in a file of known length', 'PUT /v1/files/a.txt HTTP/1.1\r\nContent-Length: 1000', 'x'.repeat(500), 500, 1],
    [
      'in a chunked file',
      'PUT /v1/files/a.txt HTTP/1.1\r\nTransfer-Encoding: chunked',
      `64\r\n${'x'.repeat(100)}\r\n`,
      100,
      1,
    ],
    [
      'before the last chunk of a chunked file',
      'PUT /v1/files/a.txt HTTP/1.1\r\nTransfer-Encoding: chunked',
      `a\r\n${'x'.repeat(10)}\r\n0\r\n`,
      10,
      1,
    ],
    [
      'in the second file of a form',
      'POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b0\r\nContent-Length: 1000',
      form(second),
      form(second).length,
      2,
    ],
    [
      'between two files of a form',
      'POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b0\r\nTransfer-Encoding: chunked',
      `${form('').length.toString(16)}\r\n${form('')}\r\n`,
      form('').length,
      1,
    ],
  ])('%s stores nothing', async (_where, head, bytes, size, count) => {
    const served = await serve()
    const socket = await served.send(head, bytes)
    await served.arrived(size)
    await served.created(count)

    socket.destroy()

    await expectNothing(served)
  })

  it('in a chunk discards the chunk and does not change the upload', async () => {
    const served = await serve()
    const { app } = served
    const id = await init(served, 20)
    await app.ask({
      method: 'PUT',
      url: `/v1/uploads/${id}/chunk`,
      headers: { 'x-chunk-index': '1' },
      payload: Buffer.alloc(10),
      token: `${served.user}:creator`,
    })
    const socket = await served.send(
      `PUT /v1/uploads/${id}/chunk HTTP/1.1\r\nX-Chunk-Index: 0\r\nContent-Length: 10`,
      'half',
    )
    await served.arrived(4)

    socket.destroy()
    await until(() => app.http.server.connections === 0 || served.usedMemory() === 0)

    expect(
      (await app.ask({ url: `/v1/uploads/${id}/status`, token: `${served.user}:creator` })).body.received_chunks,
    ).toEqual([1])
    expect(served.usedMemory()).toBe(0)
  })
})

describe('a body that stalls', () => {
  it.each([
    ['a file', 'PUT /v1/files/a.txt HTTP/1.1\r\nContent-Length: 1000', 'x'.repeat(500)],
    ['a file before its first byte', 'PUT /v1/files/a.txt HTTP/1.1\r\nContent-Length: 1000', ''],
    [
      'a form in a file',
      'POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b0\r\nContent-Length: 1000',
      form(second),
    ],
    [
      'a form between files',
      'POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b0\r\nContent-Length: 1000',
      form(''),
    ],
  ])('is answered with 503, and nothing is stored: %s', async (_what, head, bytes) => {
    const served = await serve()

    const answer = await readAll(await served.send(head, bytes))

    expect(answer).toMatch(/^HTTP\/1.1 503 /)
    expect(answer).toContain('"code":"BODY_TIMEOUT"')
    expect(answer).toMatch(/connection: close/i)
    await expectNothing(served)
  })

  it.each([
    [
      'a chunk',
      (id: string) => `PUT /v1/uploads/${id}/chunk HTTP/1.1\r\nX-Chunk-Index: 0\r\nContent-Length: 10`,
      'half',
    ],
    [
      'fields',
      () => 'POST /v1/uploads/init HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100',
      '{"file_name":',
    ],
    [
      'a list of chunks',
      (id: string) =>
        `POST /v1/uploads/${id}/complete HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100`,
      '{',
    ],
    [
      'a form before its first boundary',
      () => 'POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b0\r\nContent-Length: 1000',
      '--b',
    ],
  ])('is answered with 503: %s', async (_what, headOf, bytes) => {
    const served = await serve()
    const id = await init(served, 10)

    const answer = await readAll(await served.send(headOf(id), bytes))

    expect(answer).toMatch(/^HTTP\/1.1 503 /)
    expect(answer).toContain('"code":"BODY_TIMEOUT"')
    expect(served.usedMemory()).toBe(0)
  })
})

describe('a request on a socket', () => {
  it('may bring a chunk with chunked transfer coding', async () => {
    const served = await serve()
    const id = await init(served, 10)

    const head = `PUT /v1/uploads/${id}/chunk HTTP/1.1\r\nX-Chunk-Index: 0\r\nTransfer-Encoding: chunked\r\nConnection: close`
    const answer = await readAll(await served.send(head, '4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n'))

    expect(answer).toMatch(/^HTTP\/1.1 200 /)
    expect((await served.app.engine.complete(userOf(served.user, 'creator'), id)).state).toBe('completed')
  })

  it.each([
    ['a file that is too large', 'PUT /v1/files/a.txt HTTP/1.1\r\nContent-Length: 99999999999', 413, 'FILE_TOO_LARGE'],
    [
      'a chunk of an unknown upload',
      'PUT /v1/uploads/x/chunk HTTP/1.1\r\nX-Chunk-Index: 0\r\nContent-Length: 9999999',
      404,
      'UPLOAD_NOT_FOUND',
    ],
    [
      'a form of another content type',
      'POST /v1/files HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 9999999',
      415,
      'UNSUPPORTED_CONTENT_TYPE',
    ],
  ])('for %s gets its error although the body is not read', async (_what, head, status, code) => {
    const served = await serve()
    const socket = await served.send(head, Buffer.alloc(1024 ** 2))

    const answer = await readAll(socket)

    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toContain(`"code":"${code}"`)
    expect(answer).toMatch(/connection: close/i)
  })
})
