/*
 * Bytes that are not a request, and requests that are expensive to parse, on every port: the server refuses them or closes the connection,
 * and answers the next client.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { openRaw, type RawConnection } from '../../support/raw-http.ts'
import { portOf, sharedApp } from '../../support/test-app.ts'

const hostLine = 'Host: a\r\n'
const chunked = `POST /v1/uploads/init HTTP/1.1\r\n${hostLine}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
const tlsHello = Buffer.from('160301020001000001fc0303', 'hex')

/** What is sent, and the accepted statuses of the answer before the connection ends; `0`: no answer. */
const garbage: [string, (string | Buffer)[], number[]][] = [
  ['a TLS ClientHello', [Buffer.concat([tlsHello, Buffer.alloc(600, 7)])], [400]],
  ['the preface of HTTP/2', ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', Buffer.alloc(9)], [400, 505]],
  ['meaningless bytes', [Buffer.alloc(100_000, 0xff)], [400]],
  ['line endings', ['\r\n'.repeat(50_000), 'x\r\n\r\n'], [400]],
  ['CONNECT', [`CONNECT evil.example:443 HTTP/1.1\r\n${hostLine}\r\n`], [400]],
  ['an unknown method', [`FROBNICATE / HTTP/1.1\r\n${hostLine}\r\n`], [400]],
  ['a target without end', [`GET /${'a'.repeat(200_000)}`], [431, 414, 0]],
  ['headers without end', [`GET / HTTP/1.1\r\n${hostLine}`, 'x: y\r\n'.repeat(30_000)], [431]],
  ['a chunk whose extension has no end', [chunked, `5;${'a'.repeat(300_000)}`], [400, 401, 404, 413, 431]],
  ['many small chunk extensions', [chunked, '1;a=b\r\nx\r\n'.repeat(30_000), '0\r\n\r\n'], [400, 401, 404, 413]],
  ['chunks of one byte', [chunked, '1\r\nx\r\n'.repeat(50_000), '0\r\n\r\n'], [400, 401, 404, 413]],
  ['trailers without end', [chunked, '0\r\n', 'x: y\r\n'.repeat(30_000)], [400, 401, 404, 431]],
  ['a chunk longer than any number', [chunked, `${'f'.repeat(40)}\r\n`], [400, 401, 404]],
  ['a chunk of a negative length', [chunked, '-1\r\n'], [400, 401, 404]],
]

async function listening(kind: 'METRICS_PORT' | 'PORT'): Promise<number> {
  const { http, metricsHttp } = await sharedApp({ METRICS_PORT: '0', HEADERS_TIMEOUT: '1s' })
  return portOf({ http: kind === 'PORT' ? http : metricsHttp! })
}

async function open(port: number): Promise<RawConnection> {
  const connection = await openRaw(port)
  onTestFinished(() => connection.cut())
  return connection
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)

describe.each(['PORT', 'METRICS_PORT'] as const)('on %s', (kind) => {
  it.each(garbage)('is refused and its connection closed: %s', async (_what, chunks, statuses) => {
    const port = await listening(kind)
    const connection = await open(port)

    for (const chunk of chunks) if (!connection.socket.destroyed) void connection.send(chunk)
    await connection.closed()
    const other = await open(port)
    await other.send(`GET /none HTTP/1.1\r\n${hostLine}Connection: close\r\n\r\n`)

    expect(statuses).toContain(statusOf(connection.received()))
    expect((await other.answer())?.status).toBe(404)
  })

  it('an upgrade to another protocol is ignored and the request answered', async () => {
    const connection = await open(await listening(kind))

    await connection.send(`GET /none HTTP/1.1\r\n${hostLine}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)

    expect(statusOf(await connection.until(/\r\n\r\n/))).toBe(404)
  })

  it('many requests that wait for 100 Continue are refused before their bodies', async () => {
    const port = await listening(kind)
    const request = `POST /v1/uploads/init HTTP/1.1\r\n${hostLine}Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n`
    const connections = await Promise.all(Array.from({ length: 50 }, () => open(port)))

    await Promise.all(connections.map((connection) => connection.send(request)))
    const answers = await Promise.all(connections.map((connection) => connection.until(/HTTP\/1\.1 4\d\d/)))

    expect(new Set(answers.map((text) => /HTTP\/1\.1 (4\d\d)/.exec(text)![1]))).toEqual(
      new Set([kind === 'PORT' ? '401' : '404']),
    )
  })

  it('an incomplete request is answered with 408', async () => {
    const connection = await open(await listening(kind))

    await connection.send('GET / HT')
    await connection.closed()

    expect(statusOf(connection.received())).toBe(408)
    expect(connection.received()).toContain('"code":"HEADERS_TIMEOUT"')
  })
})
