import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { boundPipelining } from '../../../src/http/connection/pipelining.ts'
import { parseInSlices } from '../../../src/http/connection/slices.ts'
import { openRaw } from '../../support/raw-http.ts'

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown

async function serve(listener: Listener, requestsPerTurn?: number): Promise<{ server: Server; port: number }> {
  const queues = boundPipelining(listener)
  const server = createServer(queues.enqueue)
  parseInSlices(server, { hasWaiting: queues.hasWaiting, ...(requestsPerTurn !== undefined && { requestsPerTurn }) })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as AddressInfo).port }
}

const get = (path: string | number) => `GET /${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const many = (count: number) => Array.from({ length: count }, (_, n) => get(n)).join('')
const post = (length: number) => `POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`

async function sizeOf(request: IncomingMessage): Promise<number> {
  let bytes = 0
  for await (const chunk of request) bytes += (chunk as Buffer).length
  return bytes
}

describe('the input of a connection', () => {
  it('is not parsed beyond a request that waits', async () => {
    let created = 0
    const held = Promise.withResolvers<void>()
    const { server, port } = await serve(({ url }, response) => {
      if (url === '/0') void held.promise.then(() => response.end('answer 0;'))
      else response.end(`answer ${url};`)
    })
    server.on('request', () => {
      created += 1
    })
    const connection = await openRaw(port)

    await connection.send(many(1500))
    const other = await openRaw(port)
    await other.send(get('other'))
    await other.until(/answer \/other;/)
    const createdBefore = created
    held.resolve()
    const received = await connection.until(/answer \/1499;/)

    expect(createdBefore).toBeLessThan(30)
    expect(received.match(/answer /g)).toHaveLength(1500)
  })

  it('becomes a limited number of requests per turn, over all connections', async () => {
    let inThisTurn = 0
    let most = 0
    const { server, port } = await serve(({ url }, response) => void response.end(`answer ${url};`), 20)
    server.on('request', () => {
      if (inThisTurn === 0)
        setImmediate(() => {
          inThisTurn = 0
        })
      inThisTurn += 1
      most = Math.max(most, inThisTurn)
    })
    const accepted = Promise.withResolvers<void>()
    let open = 0
    server.on('connection', () => {
      open += 1
      if (open === 100) accepted.resolve()
    })
    const connections = await Promise.all(Array.from({ length: 100 }, () => openRaw(port)))
    await accepted.promise

    await Promise.all(connections.map((connection) => connection.send(many(50))))
    const received = await Promise.all(connections.map((connection) => connection.until(/answer \/49;/)))

    // The limit per turn plus the requests of one slice, twice, because the turns that this test counts overlap two turns of the server.
    expect(most).toBeLessThan(2 * (20 + 20))
    for (const answers of received) expect(answers.match(/answer /g)).toHaveLength(50)
  })

  it.each([
    ['a body of known length', post(300_000), Buffer.alloc(300_000), 300_000],
    [
      'a chunked body',
      'POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
      Buffer.concat([Buffer.from('30d40\r\n'), Buffer.alloc(200_000), Buffer.from('\r\n0\r\nTrailer: x\r\n\r\n')]),
      200_000,
    ],
  ])('keeps its order around %s', async (_what, head, body, size) => {
    const { port } = await serve(async (request, response) => {
      response.end(`answer ${request.url} ${await sizeOf(request)};`)
    })
    const connection = await openRaw(port)

    await connection.send(Buffer.concat([Buffer.from(many(40) + head), body, Buffer.from(many(40) + get('last'))]))
    const received = await connection.until(/answer \/last 0;/)

    const names = Array.from({ length: 40 }, (_, n) => `/${n} 0`)
    const answers = [...received.matchAll(/answer ([^;]+);/g)].map(([, answer]) => answer)
    expect(answers).toEqual([...names, `/body ${size}`, ...names, '/last 0'])
  })

  it('is not lost when a body is read slowly', async () => {
    const { port } = await serve(async (request, response) => {
      let bytes = 0
      for await (const chunk of request) {
        bytes += (chunk as Buffer).length
        await new Promise((resolve) => setImmediate(resolve))
      }
      response.end(`answer ${bytes};`)
    })
    const connection = await openRaw(port)

    for (let n = 0; n < 3; n += 1)
      await connection.send(Buffer.concat([Buffer.from(post(1_000_000)), Buffer.alloc(1_000_000)]))

    expect((await connection.until(/(answer 1000000;.*){3}/s)).match(/answer 1000000;/g)).toHaveLength(3)
  })

  it('is refused where it stops being HTTP', async () => {
    const { server, port } = await serve(({ url }, response) => void response.end(`answer ${url};`))
    server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('refused')
    })
    const connection = await openRaw(port)

    await connection.send(`${many(3)}nonsense\r\n\r\n${many(3)}`)
    await connection.closed()

    expect(connection.received()).toMatch(/refused$/)
  })

  it('is not parsed after a CONNECT', async () => {
    let handled = 0
    const { server, port } = await serve((_request, response) => {
      handled += 1
      response.end()
    })
    const connected = Promise.withResolvers<void>()
    server.on('connect', (_request, socket) => {
      socket.write('HTTP/1.1 400 No\r\n\r\n')
      connected.resolve()
    })
    const connection = await openRaw(port)

    await connection.send(`CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n${many(50)}`)
    await connected.promise
    await connection.send(many(50))
    const other = await openRaw(port)
    await other.send(get(1))
    await other.until(/200 OK/)

    expect(handled).toBe(1)
    connection.cut()
  })
})

describe('the memory of what was read', () => {
  const size = 300_000
  const body = Buffer.alloc(size, 'abcdefg')

  /** Sends a body, and returns what was read from the socket and what the request got. */
  async function sendBody(
    prepare: (server: Server) => void = () => {},
  ): Promise<{ reads: Buffer[]; received: Buffer }> {
    const reads: Buffer[] = []
    const chunks: Buffer[] = []
    const queues = boundPipelining((request: IncomingMessage, response: ServerResponse) => {
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => response.end('answer;'))
    })
    const server = createServer(queues.enqueue)
    prepare(server)
    parseInSlices(server, { hasWaiting: queues.hasWaiting })
    server.on('connection', (socket) => socket.on('data', (read: Buffer) => reads.push(read)))
    onTestFinished(() => server.closeAllConnections())
    onTestFinished(() => void server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const connection = await openRaw((server.address() as AddressInfo).port)
    await connection.send(post(size))
    await connection.send(body)
    await connection.until(/answer;/)
    return { reads, received: Buffer.concat(chunks) }
  }

  it('is given back as soon as it is parsed, and the body is whole', async () => {
    const { reads, received } = await sendBody()

    expect(reads.length).toBeGreaterThan(1)
    // Nothing was known of the parser when the first bytes of a body were read.
    expect(reads.slice(1).map(({ length }) => length)).toEqual(reads.slice(1).map(() => 0))
    expect(received.equals(body)).toBe(true)
  })

  it('stays where a parser passes it on without copying it', async () => {
    const { received } = await sendBody((server) => {
      let request: IncomingMessage | undefined
      server.on('request', (started: IncomingMessage) => {
        request = started
      })
      server.on('connection', (socket) => {
        const [parse] = socket.listeners('data')
        socket.removeAllListeners('data')
        let left = size
        socket.on('data', (read: Buffer) => {
          if (request) {
            left -= read.length
            request.push(read)
          } else {
            parse!.call(socket, read)
            left -= read.length - (read.indexOf('\r\n\r\n') + 4)
          }
          if (left === 0) request!.push(null)
        })
      })
    })

    expect(received.equals(body)).toBe(true)
  })
})
