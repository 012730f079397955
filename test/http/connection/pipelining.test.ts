import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { boundPipelining } from '../../../src/http/connection/pipelining.ts'
import { openRaw } from '../../support/raw-http.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown

async function serve(listener: Listener, max?: number): Promise<number> {
  const queues = boundPipelining((request, response) => void listener(request, response), max)
  const server = createServer(queues.enqueue)
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const get = (n: number) => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`
const many = (count: number) => Array.from({ length: count }, (_, n) => get(n)).join('')

describe('pipelined requests of a connection', () => {
  it('are all answered, one after the other and in order', async () => {
    let running = 0
    let most = 0
    const port = await serve(async ({ url }, response) => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      response.end(`answer ${url};`)
    })
    const connection = await openRaw(port)

    await connection.send(many(3000))
    const received = await connection.until(/answer \/2999;/)

    expect(most).toBe(1)
    expect([...received.matchAll(/answer \/(\d+);/g)].map(([, n]) => Number(n))).toEqual([...Array(3000).keys()])
  })

  it('are not handled while the client reads no answer', async () => {
    let handled = 0
    const body = Buffer.alloc(4 * 1024 ** 2)
    const port = await serve((_request, response) => {
      handled += 1
      response.end(body)
    })
    const connection = await openRaw(port)
    connection.socket.pause()

    await connection.send(many(2000))
    const other = await openRaw(port)
    await other.send(get(0))
    await other.until(/HTTP\/1\.1 200/)

    // The socket buffers of both sides hold a few answers.
    expect(handled).toBeLessThan(8)
    connection.cut()
  })

  it('do not delay the requests of other connections', async () => {
    const order: string[] = []
    const port = await serve(({ url }, response) => {
      order.push(url!)
      response.end(`answer ${url};`)
    })
    const pipelined = await openRaw(port)
    const other = await openRaw(port)

    await Promise.all([pipelined.send(many(1500)), other.send(get(9999))])
    await pipelined.until(/answer \/1499;/)

    expect(order.indexOf('/9999')).toBeLessThan(1000)
  })

  it('wait for a request whose body is still arriving', async () => {
    const port = await serve(async (request, response) => {
      let bytes = 0
      for await (const chunk of request) bytes += (chunk as Buffer).length
      response.end(`${request.method} ${bytes};`)
    })
    const connection = await openRaw(port)

    await connection.send(`${get(1)}${get(2)}POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n`)
    await connection.send(Buffer.alloc(300_000))
    await connection.send(get(4))
    const received = await connection.until(/POST 300000;.*GET 0;/s)

    expect(received.match(/GET 0;/g)).toHaveLength(3)
  })

  it('close their connection when too many wait on all connections', async () => {
    const port = await serve(() => {}, 50)
    const pipelined = await openRaw(port)
    const plain = await openRaw(port)

    await pipelined.send(many(100))
    await pipelined.closed()
    await plain.send(get(1))

    expect(plain.socket.destroyed).toBe(false)
  })

  it('are no longer counted as waiting after their connection closes', async () => {
    const port = await serve(({ url }, response) => void (url === '/1' && response.end('here')), 50)
    for (let n = 0; n < 5; n += 1) {
      const connection = await openRaw(port)
      await connection.send(many(40).replace('/0 ', '/never '))
      connection.cut()
    }

    const last = await openRaw(port)
    await last.send(get(1) + get(1) + get(1) + get(1) + get(1))

    expect((await last.until(/(here.*){5}/s)).match(/here/g)).toHaveLength(5)
  })
})
