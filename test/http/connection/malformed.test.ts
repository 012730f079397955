import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { closeAfterUnreadBody } from '../../../src/http/body/unread-body.ts'
import { answerMalformed, watchAnswers } from '../../../src/http/connection/malformed.ts'
import { parseInSlices } from '../../../src/http/connection/slices.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { openRaw, parseAnswer } from '../../support/raw-http.ts'

async function listen() {
  const app = Fastify({ clientErrorHandler: answerMalformed, forceCloseConnections: true })
  onTestFinished(() => app.close())
  answerErrors(app)
  closeAfterUnreadBody(app)
  watchAnswers(app.server)
  parseInSlices(app.server, { hasWaiting: () => false })
  const gate = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<void>()
  app.addHook('onResponse', async () => answered.resolve())
  app.get('/slow', async () => {
    await gate.promise
    return 'slow answer'
  })
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.post('/raw', async (request) => {
    for await (const _ of request.raw) void _
    return 'read'
  })
  app.post('/early', async (_request, reply) => reply.code(409).send('early answer'))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    port: (app.server.address() as AddressInfo).port,
    release: () => gate.resolve(),
    answered: answered.promise,
    /** Resolves at the next parser error. */
    malformed: () => once(app.server, 'clientError'),
  }
}

async function openAndSend(port: number, text: string) {
  const connection = await openRaw(port)
  await connection.send(text)
  return connection
}

describe('what is not HTTP', () => {
  it.each([
    ['an unknown method', 'FOO / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'INVALID_REQUEST'],
    ['a header without a name', 'GET / HTTP/1.1\r\nHost: x\r\n : y\r\n\r\n', 400, 'INVALID_REQUEST'],
    [
      'two lengths',
      'POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'INVALID_REQUEST',
    ],
    [
      'a broken chunk',
      'POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n',
      400,
      'INVALID_REQUEST',
    ],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(20_000)}`, 431, 'HEADERS_TOO_LARGE'],
  ])('is refused with the common form of error: %s', async (_what, text, status, code) => {
    const { port } = await listen()

    const answer = await (await openAndSend(port, text)).answer()

    expect(answer?.status).toBe(status)
    expect(answer?.headers).toMatchObject({ 'content-type': 'application/json', connection: 'close' })
    expect(answer?.json()).toEqual({ error: { code, message: expect.any(String), timestamp: expect.any(String) } })
  })

  it('is answered after the requests before it on the same connection', async () => {
    const { port, release, malformed } = await listen()
    const parserError = malformed()
    const connection = await openAndSend(port, 'GET /slow HTTP/1.1\r\nHost: x\r\n\r\nFOO / HTTP/1.1\r\n\r\n')
    await parserError

    release()
    await connection.closed()

    const [first, second] = connection.received().split(/(?<=slow answer)/)
    expect(parseAnswer(first!)).toMatchObject({ status: 200, body: 'slow answer' })
    expect(parseAnswer(second!)).toMatchObject({ status: 400 })
  })

  it.each([
    ['a path that is not ASCII', 'POST /\xfcber HTTP/1.1\r\nHost: x\r\nContent-Length: 5242880\r\n\r\n'],
    ['a broken chunk', 'POST /raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ])('is answered even if the client sends all its bytes first: %s', async (_what, head) => {
    const { port } = await listen()
    const connection = await openRaw(port)

    await connection.send(Buffer.concat([Buffer.from(head, 'latin1'), Buffer.alloc(5 * 1024 * 1024, 0x41)]))

    expect(await connection.answer()).toMatchObject({ status: 400 })
  })

  it('does not discard an answer that is being sent', async () => {
    const { port, answered, malformed } = await listen()
    const connection = await openRaw(port)
    connection.socket.pause()
    await connection.send('POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await answered

    const parserError = malformed()
    await connection.send(Buffer.concat([Buffer.from('zz\r\n'), Buffer.alloc(5 * 1024 * 1024, 0x41)]))
    await parserError
    connection.socket.resume()

    expect(await connection.answer()).toMatchObject({ status: 409 })
  })

  it('gets no second answer if its request was answered', async () => {
    const { port } = await listen()

    const connection = await openAndSend(
      port,
      'POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    )
    await connection.until(/early answer/)
    await connection.send('zz\r\n')
    await connection.closed()

    expect(connection.received().match(/HTTP\/1\.1/g)).toHaveLength(1)
  })
})
