import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { enforceWriteTimeout } from '../../../src/http/connection/write-timeout.ts'
import { openRaw } from '../../support/raw-http.ts'

const MiB = 1024 ** 2

async function serve(timeoutMs: number) {
  const ended = Promise.withResolvers<void>()
  const server = createServer((request, response) => {
    request.socket.once('close', () => ended.resolve())
    // More than the socket buffers of both sides hold.
    for (let n = 0; n < 64; n += 1) response.write(Buffer.alloc(MiB / 4))
    response.end('the end')
  })
  enforceWriteTimeout(server, timeoutMs)
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, ended: ended.promise }
}

const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

it('a client that reads nothing of its answer is cut, even while it sends', async () => {
  const { port, ended } = await serve(1)
  const connection = await openRaw(port)
  connection.socket.pause()

  await connection.send(request)
  const drip = setInterval(() => connection.socket.write('GET'), 5)
  onTestFinished(() => clearInterval(drip))

  await ended
})

it('a client that reads its answer gets all of it', async () => {
  const { port } = await serve(10_000)
  const connection = await openRaw(port)

  await connection.send(request)
  const received = await connection.until(/the end/)

  expect(received.length).toBeGreaterThan(16 * MiB)
})
