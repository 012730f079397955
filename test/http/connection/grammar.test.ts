import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { toOriginForm } from '../../../src/http/connection/grammar.ts'
import { openRaw, parseAnswer } from '../../support/raw-http.ts'
import { portOf, sharedApp } from '../../support/test-app.ts'

const post = 'POST /v1/uploads/init HTTP/1.1\r\nHost: a\r\n'

describe('an ambiguous or unsupported request', () => {
  it.each([
    ['HTTP/0.9', 'GET /health\r\n\r\n'],
    ['HTTP/0.9 by name', 'GET /health HTTP/0.9\r\nHost: a\r\n\r\n'],
    ['HTTP/2.0', 'GET /health HTTP/2.0\r\nHost: a\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['another version of HTTP/1', 'GET /health HTTP/1.2\r\nHost: a\r\n\r\n'],
    ['two hosts', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['the same host twice', 'GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
    ['no host', 'GET /health HTTP/1.1\r\n\r\n'],
    ['an empty host', 'GET /health HTTP/1.1\r\nHost:\r\n\r\n'],
    ['a list of hosts', 'GET /health HTTP/1.1\r\nHost: a, b\r\n\r\n'],
    ['a host with a path', 'GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n'],
    ['a host with a user', 'GET /health HTTP/1.1\r\nHost: u@a\r\n\r\n'],
    ['a URL with a user', 'GET http://u@a/health HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a URL without a name', 'GET http:///health HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a URL of another scheme', 'GET ftp://a/health HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a URL without a host header', 'GET http://a/health HTTP/1.1\r\n\r\n'],
    ['a URL and two hosts', 'GET http://a/health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
    ['a target without a slash', 'GET health HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a star for GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['two tokens', 'GET /v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n'],
    ['a length and chunks', `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`],
    ['a list of lengths', `${post}Content-Length: 1, 1\r\n\r\nx`],
    ['a length with a sign', `${post}Content-Length: +1\r\n\r\nx`],
    ['chunks in HTTP/1.0', 'POST /v1/uploads/init HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunks twice', `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['another transfer coding', `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a coding that is nearly chunked', `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['identity', `${post}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n`],
    ['a folded header', 'GET /health HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n'],
    ['bare line feeds', 'GET /health HTTP/1.1\nHost: a\n\n'],
    ['a bare line feed between headers', 'GET /health HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n'],
    ['bare carriage returns', 'GET /health HTTP/1.1\rHost: a\r\r'],
    ['a space before the colon', 'GET /health HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a zero byte in a header', 'GET /health HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n'],
  ])('is refused with 400 and closes its connection: %s', async (_what, text) => {
    const connection = await openRaw(await portOf(await sharedApp()))

    await connection.send(text)
    await connection.closed()

    expect(connection.received().match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 400'])
    const { headers } = parseAnswer(connection.received())!
    expect(headers).toMatchObject({
      connection: 'close',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    })
  })

  it.each([
    ['GET /health HTTP/1.1\r\nHost: files.example:1080\r\nConnection: close\r\n\r\n'],
    ['GET /health HTTP/1.1\r\nHost: [::1]:1080\r\nConnection: close\r\n\r\n'],
    ['GET /health HTTP/1.1\r\nhost: xn--bcher-kva.example\r\nConnection: close\r\n\r\n'],
    ['GET /health HTTP/1.0\r\n\r\n'],
    ['GET /health?a=http://b/c HTTP/1.1\r\nHost: my_host\r\nConnection: close\r\n\r\n'],
  ])('is not a plain request such as %s', async (text) => {
    const connection = await openRaw(await portOf(await sharedApp()))

    await connection.send(text)

    expect((await connection.answer())?.status).toBe(200)
  })
})

describe('a request whose target is a whole URL', () => {
  it.each([
    ['GET http://files.example/health HTTP/1.1', 200],
    ['GET HTTPS://files.example:8443/health?a=b HTTP/1.1', 200],
    ['GET http://[::1]:1080/health HTTP/1.1', 200],
    ['GET http://files.example/none/such HTTP/1.1', 404],
  ])('is answered like a request for its path: %s', async (line, status) => {
    const connection = await openRaw(await portOf(await sharedApp()))

    await connection.send(`${line}\r\nHost: other.example\r\nConnection: close\r\n\r\n`)

    expect((await connection.answer())?.status).toBe(status)
  })

  it.each([
    ['GET', 'http://a.example', '/'],
    ['GET', 'http://a.example?b=c', '/?b=c'],
    ['OPTIONS', 'http://a.example', '*'],
    ['POST', 'http://a.example:8080/files?x=http://b/', '/files?x=http://b/'],
    ['GET', '/http://b/', '/http://b/'],
  ])('replaces the Host header with the host of the URL: %s %s', (method, url, path) => {
    const request = { method, url, headers: { host: 'other.example' } } as IncomingMessage

    toOriginForm(request)

    const host = url.startsWith('/') ? 'other.example' : new URL(url).host
    expect([request.url, request.headers.host]).toEqual([path, host])
  })
})
