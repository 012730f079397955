import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fastify from 'fastify'
import { expect, it, onTestFinished, vi } from 'vitest'
import { closeConnections, countRequests, requestsInFlight } from '../../../src/http/connection/closing.ts'

const quietMs = 50

/** A server that answers `/slow` when `answer` is called. */
async function open() {
  const app = fastify({ forceCloseConnections: 'idle' })
  const count = countRequests(app)
  const received = Promise.withResolvers<void>()
  const { promise: body, resolve: answer } = Promise.withResolvers<string>()
  app.get('/slow', () => {
    received.resolve()
    return body
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  return { app, port, url: `http://127.0.0.1:${port}/slow`, received: received.promise, answer, count }
}

it('a connection without requests does not keep the server from closing', async () => {
  const { app, port } = await open()
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')

  await closeConnections(app, quietMs)

  socket.destroy()
})

it('a request that is being answered is waited for', async () => {
  const { app, url, received, answer } = await open()
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const answered = fetch(url).then((response) => response.text())
  await received
  let isClosed = false
  const closing = closeConnections(app, quietMs).then(() => (isClosed = true))
  // Longer than connections without requests are waited for.
  vi.advanceTimersByTime(100 * quietMs)
  await nextTurn()

  expect(isClosed).toBe(false)
  answer('done')

  expect(await answered).toBe('done')
  await vi.advanceTimersByTimeAsync(100 * quietMs)
  await closing
})

it('a request whose client has disconnected is not waited for', async () => {
  const { app, port, url, received, count } = await open()
  const client = new AbortController()
  const refused = fetch(url, { signal: client.signal }).catch(() => {})
  await received
  client.abort()
  await refused
  const other = connect(port, '127.0.0.1')
  await once(other, 'connect')
  await expect.poll(count).toBe(0)

  expect(requestsInFlight(app)).toEqual([])
  await closeConnections(app, quietMs)
  other.destroy()
})
