import { connect, type Socket } from 'node:net'
import fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { endSlowBodies } from '../../src/http/slow-body.ts'

const patienceMs = 300

async function open(): Promise<number> {
  const app = fastify()
  endSlowBodies(app, patienceMs)
  app.addContentTypeParser('application/octet-stream', async () => null)
  app.post('/', async (request) => {
    if (request.headers['content-type'] === 'application/json') return request.body
    await new Promise((resolve) => setTimeout(resolve, 3 * patienceMs))
    return { read: 'by the route' }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  return (app.server.address() as { port: number }).port
}

/** What the server says to a request that announces ten bytes and sends `body`. */
async function say(port: number, type: string, body: string): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text) => {
    answer += text
    socket.end()
  })
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: 10\r\n\r\n${body}`)
  await new Promise((resolve) => socket.once('close', resolve))
  return answer
}

it('a JSON body that does not come ends its connection', async () => {
  expect(await say(await open(), 'application/json', '{"a"')).toBe('')
})

it('a JSON body that comes is answered', async () => {
  expect(await say(await open(), 'application/json', '{"a":1234}')).toContain('200 OK')
})

it('a body that a route reads itself may last', async () => {
  expect(await say(await open(), 'application/octet-stream', 'a few')).toContain('by the route')
})
