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

interface Wire {
  app: RestApp
  /** Whose connections these are: nobody else's uploads are looked at. */
  user: string
  used(): number
  /** Waits until a body has brought so many bytes, and all of them were taken. */
  arrived(bytes: number): Promise<void>
  /** Waits until so many uploads were begun. */
  begun(count: number): Promise<unknown>
  /** A connection on which `head` (a request line and headers) and some bytes were sent. */
  send(head: string, bytes?: Buffer | string): Promise<Socket>
}

async function openWire(): Promise<Wire> {
  const user = randomUUID()
  const budget = createMemoryBudget(1024 ** 2)
  const app = await openRest({ bodyIdleMs, budget })
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  return {
    app,
    user,
    used: () => budget.used,
    arrived: watchBodies(app.http.server),
    begun: (count) => until(async () => (await app.engine.list(userOf(user, 'creator'), { limit: 9 })).length >= count),
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

/** Everything that is said until the server ends the connection. */
async function hear(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  socket.on('end', () => socket.end())
  await once(socket, 'close')
  return text
}

async function begin({ app, user }: Wire, size: number): Promise<string> {
  const payload = { file_name: 'notes.txt', total_size: size }
  const request = { method: 'POST', url: '/v1/uploads/init', payload, token: `${user}:creator` } as const
  return (await app.ask(request)).body.upload_id
}

/** Everything that was begun is given up, and nothing of it is in the store. */
async function expectNothing({ app, user }: Wire): Promise<void> {
  const states = async () => (await app.engine.list(userOf(user, 'creator'), { limit: 9 })).map((one) => one.state)
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
      'before the end of a chunked file is said',
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
  ])('%s leaves nothing', async (_where, head, bytes, size, count) => {
    const wire = await openWire()
    const socket = await wire.send(head, bytes)
    await wire.arrived(size)
    await wire.begun(count)

    socket.destroy()

    await expectNothing(wire)
  })

  it('in a chunk leaves the chunk out and the upload as it was', async () => {
    const wire = await openWire()
    const { app } = wire
    const id = await begin(wire, 20)
    await app.ask({
      method: 'PUT',
      url: `/v1/uploads/${id}/chunk`,
      headers: { 'x-chunk-index': '1' },
      payload: Buffer.alloc(10),
      token: `${wire.user}:creator`,
    })
    const socket = await wire.send(
      `PUT /v1/uploads/${id}/chunk HTTP/1.1\r\nX-Chunk-Index: 0\r\nContent-Length: 10`,
      'half',
    )
    await wire.arrived(4)

    socket.destroy()
    await until(() => app.http.server.connections === 0 || wire.used() === 0)

    expect(
      (await app.ask({ url: `/v1/uploads/${id}/status`, token: `${wire.user}:creator` })).body.received_chunks,
    ).toEqual([1])
    expect(wire.used()).toBe(0)
  })
})

describe('a body that stalls', () => {
  it.each([
    ['a file', 'PUT /v1/files/a.txt HTTP/1.1\r\nContent-Length: 1000', 'x'.repeat(500)],
    ['a file of which nothing comes', 'PUT /v1/files/a.txt HTTP/1.1\r\nContent-Length: 1000', ''],
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
  ])('is told to come again, and leaves nothing: %s', async (_what, head, bytes) => {
    const wire = await openWire()

    const answer = await hear(await wire.send(head, bytes))

    expect(answer).toMatch(/^HTTP\/1.1 503 /)
    expect(answer).toContain('"code":"BODY_TIMEOUT"')
    expect(answer).toMatch(/connection: close/i)
    await expectNothing(wire)
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
      'a form before anything',
      () => 'POST /v1/files HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b0\r\nContent-Length: 1000',
      '--b',
    ],
  ])('is told to come again: %s', async (_what, headOf, bytes) => {
    const wire = await openWire()
    const id = await begin(wire, 10)

    const answer = await hear(await wire.send(headOf(id), bytes))

    expect(answer).toMatch(/^HTTP\/1.1 503 /)
    expect(answer).toContain('"code":"BODY_TIMEOUT"')
    expect(wire.used()).toBe(0)
  })
})

describe('on a wire', () => {
  it('a chunk may come in pieces of unknown number', async () => {
    const wire = await openWire()
    const id = await begin(wire, 10)

    const head = `PUT /v1/uploads/${id}/chunk HTTP/1.1\r\nX-Chunk-Index: 0\r\nTransfer-Encoding: chunked\r\nConnection: close`
    const answer = await hear(await wire.send(head, '4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n'))

    expect(answer).toMatch(/^HTTP\/1.1 200 /)
    expect((await wire.app.engine.complete(userOf(wire.user, 'creator'), id)).state).toBe('completed')
  })

  it.each([
    ['a file that is too large', 'PUT /v1/files/a.txt HTTP/1.1\r\nContent-Length: 99999999999', 413, 'FILE_TOO_LARGE'],
    [
      'a chunk for nobody',
      'PUT /v1/uploads/x/chunk HTTP/1.1\r\nX-Chunk-Index: 0\r\nContent-Length: 9999999',
      404,
      'UPLOAD_NOT_FOUND',
    ],
    [
      'a form that is none',
      'POST /v1/files HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 9999999',
      415,
      'UNSUPPORTED_CONTENT_TYPE',
    ],
  ])('%s is refused before it is sent, and the refusal arrives', async (_what, head, status, code) => {
    const wire = await openWire()
    const socket = await wire.send(head, Buffer.alloc(1024 ** 2))

    const answer = await hear(socket)

    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toContain(`"code":"${code}"`)
    expect(answer).toMatch(/connection: close/i)
  })
})
