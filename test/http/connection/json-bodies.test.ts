import { connect, type Socket } from 'node:net'
import fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { createBodyGate } from '../../../src/core/body/body-gate.ts'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { readJsonBodies } from '../../../src/http/connection/json-bodies.ts'
import { closeAfterUnreadBody } from '../../../src/http/connection/unread-body.ts'
import { answerErrors } from '../../../src/http/errors.ts'
import { openRaw } from '../../support/raw-http.ts'
import { until } from '../../support/until.ts'

const patienceMs = 300
const dripMs = 50

/** A server whose route reads a body that is no JSON itself, for as long as `reading` takes. */
async function open(reading?: Promise<void>): Promise<number> {
  const app = fastify()
  closeAfterUnreadBody(app)
  answerErrors(app)
  readJsonBodies(app, { idleMs: 0, totalMs: patienceMs })
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

/** What the server says to a request that announces ten bytes and sends `body`, and then now and then one more of `drops`. */
async function say(port: number, type: string, body: string, drops = ''): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text) => {
    answer += text
    socket.end()
  })
  socket.write(
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${drops === '' ? 10 : 200}\r\n\r\n${body}`,
  )
  const left = [...drops]
  const drip = setInterval(() => left.length > 0 && socket.writable && socket.write(left.shift()!), dripMs)
  await new Promise((resolve) => socket.once('close', resolve))
  clearInterval(drip)
  return answer
}

it.each([
  ['does not come', ''],
  ['comes drop by drop', ' '.repeat(100)],
])('a JSON body that %s ends its connection', async (_how, drops) => {
  const answer = await say(await open(), 'application/json', '{"a"', drops)

  expect(answer).toContain('BODY_TIMEOUT')
  expect(answer.toLowerCase()).toContain('connection: close')
})

it('a JSON body that comes is answered', async () => {
  expect(await say(await open(), 'application/json', '{"a":1234}')).toContain('200 OK')
})

it('a body that a route reads itself may last', async () => {
  const reading = Promise.withResolvers<void>()
  const port = await open(reading.promise)
  const answer = say(port, 'application/octet-stream', 'a few')

  // It began later, and its time is over.
  expect(await say(port, 'application/json', '{"a"')).toContain('BODY_TIMEOUT')
  reading.resolve()

  expect(await answer).toContain('by the route')
})

it('a JSON body takes a place and memory while it comes, and gives both back', async () => {
  const app = fastify()
  answerErrors(app)
  const budget = createMemoryBudget(1024)
  readJsonBodies(app, { idleMs: 0, capacity: { gate: createBodyGate(1, budget), budget } })
  app.post('/', async () => 'read')
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  const connection = await openRaw((app.server.address() as { port: number }).port)
  const ask = async () => (await app.inject({ method: 'POST', url: '/', payload: { a: 1 } })).statusCode
  await connection.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{')
  await until(() => budget.used === 1)

  const beside = await ask()
  connection.cut()
  await until(() => budget.used === 0)

  expect([beside, await ask()]).toEqual([503, 200])
  expect(budget.used).toBe(0)
})
