import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { errors } from '../../../src/core/errors/errors.ts'
import { closeAfterUnreadBody, leaveBodiesUnread } from '../../../src/http/body/unread-body.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { testApp } from '../../support/test-app.ts'

const MiB = 1024 ** 2

describe('an answer that is sent before the body was read', () => {
  it('reaches a client that is still sending and closes the connection', async () => {
    const port = await serve()

    const received = await send(
      port,
      `POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MiB}\r\n\r\n`,
      8 * MiB,
    )

    expect(received).toMatch(/^HTTP\/1.1 401/)
    expect(received).toMatch(/connection: close/i)
    expect(received).toContain('"code":"UNAUTHENTICATED"')
  })

  it('does not let the body be parsed as another request', async () => {
    const port = await serve()
    const smuggled = 'GET /open HTTP/1.1\r\nHost: a\r\n\r\n'

    const received = await send(
      port,
      `POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: ${MiB}\r\n\r\n${smuggled}`,
      0,
    )

    expect(received.match(/HTTP\/1.1/g)).toHaveLength(1)
  })
})

describe('the last answer of a connection reaches a client that is still sending', () => {
  const init = 'POST /v1/uploads/init HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n'
  const next = `POST /files HTTP/1.1\r\nHost: a\r\nUpload-Draft-Interop-Version: 8\r\nContent-Length: ${4 * MiB}\r\n\r\n`

  it.each([
    ['after a body that is not JSON', `${init}Host: a\r\n\r\n{{${next}`],
    ['after Connection: close', `GET /files HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${next}`],
    ['in HTTP/1.0', `GET /files HTTP/1.0\r\nHost: a\r\n\r\n${next}`],
    ['to a URL that cannot be decoded', `PATCH /files/%zz HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MiB}\r\n\r\n`],
  ])('%s', async (_when, head) => {
    const app = await testApp()
    await app.http.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.http.server.address() as AddressInfo
    const text = head.replace('Host: a', `Host: a\r\nAuthorization: ${(await app.as()).authorization}`)

    // A reset discards an answer only with some timings, so the request is repeated.
    const received = await Promise.all(Array.from({ length: 20 }, () => sendInPieces(port, text, 4 * MiB)))

    expect(received.map((text) => text.slice(0, 10))).toEqual(received.map(() => 'HTTP/1.1 4'))
    expect(received.map((text) => /^connection: close/im.test(text))).toEqual(received.map(() => true))
  })
})

it('an unknown expectation does not make the server wait for a body', async () => {
  const app = await testApp()
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  const head = 'POST /v1/uploads/init HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\nContent-Length: 10\r\n\r\n'

  const received = await send(port, head, 0)

  expect(received).toMatch(/^HTTP\/1.1 401/)
  expect(received).toMatch(/connection: close/i)
})

it('an answer after the body, or without a body, keeps the connection open', async () => {
  const port = await serve()

  const received = await send(
    port,
    'GET /refuse HTTP/1.1\r\nHost: a\r\n\r\n' +
      'POST /open HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi' +
      'GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    0,
  )

  expect(received.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 200'])
})

async function serve(): Promise<number> {
  const app = Fastify()
  onTestFinished(() => app.close())
  closeAfterUnreadBody(app)
  answerErrors(app)
  app.route({
    method: ['GET', 'POST'],
    url: '/refuse',
    onRequest: async () => {
      throw errors.tokenMissing()
    },
    handler: () => 'never',
  })
  app.route({ method: ['GET', 'POST'], url: '/open', handler: () => 'open' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

/** Sends `head` and `more` bytes without reading the answer, then reads until the server ends the connection. */
function send(port: number, head: string, more: number): Promise<string> {
  const received = Promise.withResolvers<string>()
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  socket.on('end', () => socket.end())
  socket.on('close', () => received.resolve(text))
  socket.on('error', received.reject)
  socket.write(head)
  for (let sent = 0; sent < more; sent += MiB) socket.write(Buffer.alloc(MiB))
  return received.promise
}

/** Sends `head` and `more` bytes in pieces, each in a turn of its own, and reads until the connection ends, with or without an error. */
async function sendInPieces(port: number, head: string, more: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const over = Promise.withResolvers<void>()
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  for (const end of ['error', 'end', 'close']) socket.on(end, () => over.resolve())
  const bytes = Buffer.concat([Buffer.from(head), Buffer.alloc(more)])
  for (let at = 0; at < bytes.length && !socket.destroyed; at += 100_000) {
    socket.write(bytes.subarray(at, at + 100_000))
    await nextTurn()
  }
  await over.promise
  socket.destroy()
  return text
}

describe('a scope that leaves bodies unread', () => {
  it.each(['application/json', 'text/plain', 'application/x-unknown', undefined])(
    'gives none of type %s',
    async (type) => {
      const app = Fastify()
      leaveBodiesUnread(app)
      app.post('/', async ({ body, raw }) => ({ body: body ?? null, sent: await text(raw) }))

      const answer = await app.inject({
        method: 'POST',
        url: '/',
        payload: '{"a":1}',
        headers: type ? { 'content-type': type } : {},
      })

      expect(answer.json()).toEqual({ body: null, sent: '{"a":1}' })
    },
  )
})
