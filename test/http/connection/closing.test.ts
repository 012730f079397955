import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fastify from 'fastify'
import { expect, it, onTestFinished, vi } from 'vitest'
import { closeConnections, countRequests, requestsInFlight } from '../../../src/http/connection/closing.ts'

const quietMs = 50

/** A server that answers `/slow` when it is let go. */
async function open() {
  const app = fastify({ forceCloseConnections: 'idle' })
  const count = countRequests(app)
  const asked = Promise.withResolvers<void>()
  const { promise: letGo, resolve: answer } = Promise.withResolvers<string>()
  app.get('/slow', () => {
    asked.resolve()
    return letGo
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  return { app, port, url: `http://127.0.0.1:${port}/slow`, asked: asked.promise, answer, count }
}

it('a connection on which nobody asks does not keep a server from ending', async () => {
  const { app, port } = await open()
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')

  await closeConnections(app, quietMs)

  socket.destroy()
})

it('a request that is being answered is waited for', async () => {
  const { app, url, asked, answer } = await open()
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const answered = fetch(url).then((response) => response.text())
  await asked
  let isClosed = false
  const closing = closeConnections(app, quietMs).then(() => (isClosed = true))
  // Longer than it is waited for what asks nothing.
  vi.advanceTimersByTime(100 * quietMs)
  await nextTurn()

  expect(isClosed).toBe(false)
  answer('done')

  expect(await answered).toBe('done')
  await closing
})

it('a request whose client is gone is not waited for', async () => {
  const { app, port, url, asked, count } = await open()
  const gone = new AbortController()
  const refused = fetch(url, { signal: gone.signal }).catch(() => {})
  await asked
  gone.abort()
  await refused
  const other = connect(port, '127.0.0.1')
  await once(other, 'connect')
  await expect.poll(count).toBe(0)

  expect(requestsInFlight(app)).toEqual([])
  await closeConnections(app, quietMs)
  other.destroy()
})
