import { connect } from 'node:net'
import fastify from 'fastify'
import { expect, it } from 'vitest'
import { closeConnections, countRequests, requestsInFlight } from '../../../src/http/connection/closing.ts'

async function open() {
  const app = fastify({ forceCloseConnections: 'idle' })
  countRequests(app)
  app.get('/slow', async () => {
    await new Promise((resolve) => setTimeout(resolve, 3200))
    return 'done'
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, port: (app.server.address() as { port: number }).port }
}

it('a connection on which nobody asks does not keep a server from ending', async () => {
  const { app, port } = await open()
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  const before = performance.now()

  await closeConnections(app)

  expect(performance.now() - before).toBeLessThan(6000)
  socket.destroy()
})

it('a request that is being answered is waited for', async () => {
  const { app, port } = await open()
  const answer = fetch(`http://127.0.0.1:${port}/slow`).then((response) => response.text())
  await new Promise((resolve) => setTimeout(resolve, 200))

  await closeConnections(app)

  expect(await answer).toBe('done')
})

it('a request whose client is gone is not waited for', async () => {
  const { app, port } = await open()
  await fetch(`http://127.0.0.1:${port}/slow`, { signal: AbortSignal.timeout(200) }).catch(() => {})
  const other = connect(port, '127.0.0.1')
  await new Promise((resolve) => other.once('connect', resolve))
  await new Promise((resolve) => setTimeout(resolve, 100))

  expect(requestsInFlight(app)).toEqual([])
  await closeConnections(app)
  other.destroy()
})
