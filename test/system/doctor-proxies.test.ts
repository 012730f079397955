import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Finding } from '../../src/stores/finding.ts'
import { examined, otherServer } from '../support/examined.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { startProxy } from '../support/proxy.ts'

const set = examined()

describe('the doctor behind a proxy', () => {
  /** The URL of a proxy of this kind in front of the server on `port`; `null` where it is not installed. */
  function proxied(kind: string, port = set.server.port): string | null {
    const proxy = startProxy(kind, port)
    if (proxy) onTestFinished(proxy.stop)
    return proxy?.url ?? null
  }

  const errorsAndWarnings = (found: Finding[]) =>
    found.filter(({ status }) => status !== 'ok').map(({ status, message }) => `${status}: ${message}`)

  it('finds no problem with a suitable nginx configuration', async ({ skip }) => {
    const url = proxied('nginx-tuned') ?? skip('nginx is not installed')

    const found = await set.examineWith({ PUBLIC_URL: url, INTERIM_RESPONSES: 'never' })

    expect(errorsAndWarnings(found)).toEqual([])
  })

  it('reports nginx with its defaults, which buffers bodies and refuses large ones', async ({ skip }) => {
    const url = proxied('nginx') ?? skip('nginx is not installed')

    const found = await set.examineWith({ PUBLIC_URL: url, INTERIM_RESPONSES: 'never' })

    expect(errorsAndWarnings(found)).toEqual([
      'error: bytes reach the server only when the whole request has been sent',
      'error: a request of 2 MiB is refused by the proxy',
    ])
    expect(JSON.stringify(found)).toMatch(/proxy_request_buffering off.*client_max_body_size 0/)
  })

  describe('with INTERIM_RESPONSES=always', () => {
    let always: NodeProcess
    beforeAll(async () => {
      always = await startNodeProcess({ environment: { ...set.settings, INTERIM_RESPONSES: 'always' } })
    })
    afterAll(() => always.kill())

    it.for(['haproxy', 'haproxy-tcp', 'caddy', 'apache'])('finds no problem with %s', async (kind, { skip }) => {
      const url = proxied(kind, always.port) ?? skip(`${kind} is not installed`)

      const found = await set.examineWith({ PUBLIC_URL: url, INTERIM_RESPONSES: 'always' })

      expect(errorsAndWarnings(found)).toEqual([])
      expect(found).toContainEqual(
        expect.objectContaining({ message: expect.stringContaining('104 reaches them before the final response') }),
      )
    })

    it.for(['nginx-tuned', 'varnish'])('reports that %s takes a 104 for the final response', async (kind, { skip }) => {
      const url = proxied(kind, always.port) ?? skip(`${kind} is not installed`)

      const found = await set.examineWith({ PUBLIC_URL: url, INTERIM_RESPONSES: 'always' })

      set.expectOnly(
        found,
        'proxy',
        /phones .* fail: the proxy takes 104 for the final response/,
        /INTERIM_RESPONSES=never/,
      )
    })
  })

  it('reports that only chunked bodies are buffered', async () => {
    const url = await customProxy((request, pass) => {
      if (request.headers['transfer-encoding'] === undefined) return pass()
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => void chunks.push(chunk))
      request.on('end', () => pass(Buffer.concat(chunks)))
    })

    const found = await set.examineWith({ PUBLIC_URL: url })

    set.expectOnly(
      found,
      'proxy',
      /chunked bodies .* only when the whole request has been sent/,
      /proxy_http_version 1\.1/,
    )
  })

  it('reports a wrong Location as the only problem', async () => {
    const elsewhere = await startNodeProcess({
      environment: { ...set.settings, PUBLIC_URL: 'https://elsewhere.example' },
    })
    onTestFinished(() => elsewhere.kill())

    const found = await set.examineWith({ PUBLIC_URL: elsewhere.url })

    set.expectOnly(found, 'proxy', /Location points to uploads at https:\/\/elsewhere\.example/, /Set PUBLIC_URL/)
  })

  it('reports a page whose script is not found below the path of the proxy', async () => {
    const url = await customProxy((request, pass, response) => {
      if (request.url !== '/') return pass()
      response.writeHead(200, { 'content-type': 'text/html' }).end('<script type="module" src="/assets/x.js"></script>')
    })

    set.expectOnly(
      await set.examineWith({ PUBLIC_URL: url }),
      'address',
      /page .* is blank: its script at .*x\.js/,
      /PUBLIC_URL/,
    )
  })

  /** A small proxy. `handle` answers each request or passes it on. */
  function customProxy(
    handle: (request: IncomingMessage, pass: (body?: Buffer) => void, response: ServerResponse) => void,
  ): Promise<string> {
    return otherServer((request, response) => {
      const pass = (body?: Buffer) => {
        const forwarded = httpRequest(set.server.url + request.url, {
          method: request.method,
          headers: request.headers,
        })
        forwarded.on('response', (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(response)
        })
        forwarded.on('information', ({ statusCode, rawHeaders }) => {
          if (statusCode === 104)
            response.socket?.write(
              `HTTP/1.1 104 x\r\n${rawHeaders.map((part, index) => part + (index % 2 ? '\r\n' : ': ')).join('')}\r\n`,
            )
        })
        for (const each of [forwarded, request, response]) each.on('error', () => forwarded.destroy())
        response.on('close', () => forwarded.destroy())
        if (body) forwarded.end(body)
        else request.pipe(forwarded)
      }
      handle(request, pass, response)
    })
  }
})
