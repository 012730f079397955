import { connect, type Socket } from 'node:net'
import fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { createBodyGate } from '../../../src/core/body/body-gate.ts'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { readJsonBodies } from '../../../src/http/body/json-bodies.ts'
import { closeAfterUnreadBody } from '../../../src/http/body/unread-body.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { openRaw } from '../../support/raw-http.ts'
import { until } from '../../support/until.ts'

const timeoutMs = 300
const dripMs = 50

/** A server whose route reads bodies of other types itself, until `reading` resolves. */
async function open(reading?: Promise<void>): Promise<number> {
  const app = fastify()
  closeAfterUnreadBody(app)
  answerErrors(app)
  readJsonBodies(app, { idleMs: 0, totalMs: timeoutMs, capacity: null })
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null))
  app.post('/', async (request) => {
    if (request.headers['content-type'] === 'application/json') return request.body
    await reading
    return { read: 'by the route' }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  return (app.server.address() as { port: number }).port
}

/**
 * The answer to a request that sends `body` and then one character of `drip` at a time. It announces ten bytes, or 200 with `drip`.
 */
async function sendSlowly(port: number, type: string, body: string, drip = ''): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text) => {
    answer += text
    socket.end()
  })
  socket.write(
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${drip === '' ? 10 : 200}\r\n\r\n${body}`,
  )
  const left = [...drip]
  const timer = setInterval(() => left.length > 0 && socket.writable && socket.write(left.shift()!), dripMs)
  await new Promise((resolve) => socket.once('close', resolve))
  clearInterval(timer)
  return answer
}

it.each([
  ['stalls', ''],
  ['arrives byte by byte', ' '.repeat(100)],
])('a JSON body that %s is refused and ends its connection', async (_how, drip) => {
  const answer = await sendSlowly(await open(), 'application/json', '{"a"', drip)

  expect(answer).toContain('BODY_TIMEOUT')
  expect(answer.toLowerCase()).toContain('connection: close')
})

it('a JSON body that arrives in time is answered', async () => {
  expect(await sendSlowly(await open(), 'application/json', '{"a":1234}')).toContain('200 OK')
})

it('a body that a route reads itself has no such timeout', async () => {
  const reading = Promise.withResolvers<void>()
  const port = await open(reading.promise)
  const answer = sendSlowly(port, 'application/octet-stream', 'a few')

  // The JSON request started later and has timed out already.
  expect(await sendSlowly(port, 'application/json', '{"a"')).toContain('BODY_TIMEOUT')
  reading.resolve()

  expect(await answer).toContain('by the route')
})

it('a JSON body takes a slot and memory while it arrives, and releases both', async () => {
  const app = fastify()
  answerErrors(app)
  const budget = createMemoryBudget(1024)
  readJsonBodies(app, { idleMs: 0, capacity: { gate: createBodyGate(1, budget), budget } })
  app.post('/', async () => 'read')
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  const connection = await openRaw((app.server.address() as { port: number }).port)
  const post = async () => (await app.inject({ method: 'POST', url: '/', payload: { a: 1 } })).statusCode
  await connection.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{')
  await until(() => budget.used === 1)

  const concurrent = await post()
  connection.cut()
  await until(() => budget.used === 0)

  expect([concurrent, await post()]).toEqual([503, 200])
  expect(budget.used).toBe(0)
})
