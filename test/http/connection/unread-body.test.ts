import { type AddressInfo, connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { UploadError } from '../../../src/core/errors/error.ts'
import { closeAfterUnreadBody } from '../../../src/http/connection/unread-body.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { testApp } from '../../support/test-app.ts'

const MiB = 1024 ** 2

describe('an answer before the body was read', () => {
  it('reaches a client that is still sending, and is the last one of the connection', async () => {
    const port = await serve()

    const heard = await speak(port, `POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MiB}\r\n\r\n`, 8 * MiB)

    expect(heard).toMatch(/^HTTP\/1.1 401/)
    expect(heard).toMatch(/connection: close/i)
    expect(heard).toContain('"code":"UNAUTHENTICATED"')
  })

  it('does not let the body be taken for another request', async () => {
    const port = await serve()
    const smuggled = 'GET /open HTTP/1.1\r\nHost: a\r\n\r\n'

    const heard = await speak(port, `POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: ${MiB}\r\n\r\n${smuggled}`, 0)

    expect(heard.match(/HTTP\/1.1/g)).toHaveLength(1)
  })
})

describe('an answer that is the last one of its connection reaches a client that has more on its way', () => {
  const init = 'POST /v1/uploads/init HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n'
  const next = `POST /files HTTP/1.1\r\nHost: a\r\nUpload-Draft-Interop-Version: 8\r\nContent-Length: ${4 * MiB}\r\n\r\n`

  it.each([
    ['after a body that is no JSON', `${init}Host: a\r\n\r\n{{${next}`],
    ['when the client said it would be', `GET /files HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${next}`],
    ['in an older HTTP', `GET /files HTTP/1.0\r\nHost: a\r\n\r\n${next}`],
    ['to an address that is none', `PATCH /files/%zz HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MiB}\r\n\r\n`],
  ])('%s', async (_when, head) => {
    const app = await testApp()
    await app.http.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.http.server.address() as AddressInfo
    const said = head.replace('Host: a', `Host: a\r\nAuthorization: ${(await app.as()).authorization}`)

    // Whether a reset comes in time to destroy an answer is a matter of luck.
    const heard = await Promise.all(Array.from({ length: 20 }, () => speakSlowly(port, said, 4 * MiB)))

    expect(heard.map((text) => text.slice(0, 10))).toEqual(heard.map(() => 'HTTP/1.1 4'))
    expect(heard.map((text) => /^connection: close/im.test(text))).toEqual(heard.map(() => true))
  })
})

it('an expectation nobody knows is no reason to wait for a body', async () => {
  const app = await testApp()
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.http.server.address() as AddressInfo
  const head = 'POST /v1/uploads/init HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\nContent-Length: 10\r\n\r\n'

  const heard = await speak(port, head, 0)

  expect(heard).toMatch(/^HTTP\/1.1 401/)
  expect(heard).toMatch(/connection: close/i)
})

it('an answer after the body, or to no body, keeps the connection', async () => {
  const port = await serve()

  const heard = await speak(
    port,
    'GET /refuse HTTP/1.1\r\nHost: a\r\n\r\n' +
      'POST /open HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi' +
      'GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    0,
  )

  expect(heard.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 200'])
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
      throw new UploadError('UNAUTHENTICATED', 'No.')
    },
    handler: () => 'never',
  })
  app.route({ method: ['GET', 'POST'], url: '/open', handler: () => 'open' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}

/** Sends `head`, then `more` bytes without looking at the answer, then listens until the server ends the connection. */
function speak(port: number, head: string, more: number): Promise<string> {
  const heard = Promise.withResolvers<string>()
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  socket.on('end', () => socket.end())
  socket.on('close', () => heard.resolve(text))
  socket.on('error', heard.reject)
  socket.write(head)
  for (let sent = 0; sent < more; sent += MiB) socket.write(Buffer.alloc(MiB))
  return heard.promise
}

/** Sends `head` and `more` bytes in pieces, each in a turn of its own, and hears what comes until the connection ends however it does. */
async function speakSlowly(port: number, head: string, more: number): Promise<string> {
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
