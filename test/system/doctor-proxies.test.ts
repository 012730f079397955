import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Finding } from '../../src/cli/doctor/finding.ts'
import { examined, otherServer } from '../support/examined.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { startProxy } from '../support/proxy.ts'

const set = examined()

describe('what the doctor says of a proxy', () => {
  /** The URL of a proxy of this kind in front of the server on `port`; `null` where it is not installed. */
  function proxied(kind: string, port = set.server.port): string | null {
    const proxy = startProxy(kind, port)
    if (proxy) onTestFinished(proxy.stop)
    return proxy?.url ?? null
  }

  const errorsAndWarnings = (found: Finding[]) =>
    found.filter(({ status }) => status !== 'ok').map(({ status, message }) => `${status}: ${message}`)

  it('good settings of nginx are found good', async ({ skip }) => {
    const url = proxied('nginx-tuned') ?? skip('nginx is not installed')

    const found = await set.examineWith({ PUBLIC_URL: url, INTERIM_RESPONSES: 'never' })

    expect(errorsAndWarnings(found)).toEqual([])
  })

  it('nginx with its defaults is named: it buffers bodies and refuses large ones', async ({ skip }) => {
    const url = proxied('nginx') ?? skip('nginx is not installed')

    const found = await set.examineWith({ PUBLIC_URL: url, INTERIM_RESPONSES: 'never' })

    expect(errorsAndWarnings(found)).toEqual([
      'error: bytes reach the server only when the whole request has been sent',
      'error: a request of 2 MiB is refused by the proxy',
    ])
    expect(JSON.stringify(found)).toMatch(/proxy_request_buffering off.*client_max_body_size 0/)
  })

  describe('where the server sends 104 whatever stands before it', () => {
    let always: NodeProcess
    beforeAll(async () => {
      always = await startNodeProcess({ environment: { ...set.settings, INTERIM_RESPONSES: 'always' } })
    })
    afterAll(() => always.kill())

    it.for(['haproxy', 'haproxy-tcp', 'caddy', 'apache'])('%s passes everything on', async (kind, { skip }) => {
      const url = proxied(kind, always.port) ?? skip(`${kind} is not installed`)

      const found = await set.examineWith({ PUBLIC_URL: url, INTERIM_RESPONSES: 'always' })

      expect(errorsAndWarnings(found)).toEqual([])
      expect(found).toContainEqual(
        expect.objectContaining({ message: expect.stringContaining('104 reaches them before the final response') }),
      )
    })

    it.for(['nginx-tuned', 'varnish'])('%s is found to take it for the answer', async (kind, { skip }) => {
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

  it('chunked bodies that are buffered are named, where bodies with a length are not', async () => {
    const url = await hostile((request, pass) => {
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

  it('a Location that leads elsewhere is the only fault that is named', async () => {
    const elsewhere = await startNodeProcess({
      environment: { ...set.settings, PUBLIC_URL: 'https://elsewhere.example' },
    })
    onTestFinished(() => elsewhere.kill())

    const found = await set.examineWith({ PUBLIC_URL: elsewhere.url })

    set.expectOnly(found, 'proxy', /Location points to uploads at https:\/\/elsewhere\.example/, /Set PUBLIC_URL/)
  })

  it('a page whose script is not found below the path of the proxy is named', async () => {
    const url = await hostile((request, pass, response) => {
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

  /** A proxy of a few lines that does what `handle` says, and passes on what it is asked to. */
  function hostile(
    handle: (request: IncomingMessage, pass: (body?: Buffer) => void, response: ServerResponse) => void,
  ): Promise<string> {
    return otherServer((request, response) => {
      const pass = (body?: Buffer) => {
        const onward = httpRequest(set.server.url + request.url, { method: request.method, headers: request.headers })
        onward.on('response', (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          answer.pipe(response)
        })
        onward.on('information', ({ statusCode, rawHeaders }) => {
          if (statusCode === 104)
            response.socket?.write(
              `HTTP/1.1 104 x\r\n${rawHeaders.map((part, index) => part + (index % 2 ? '\r\n' : ': ')).join('')}\r\n`,
            )
        })
        for (const each of [onward, request, response]) each.on('error', () => onward.destroy())
        response.on('close', () => onward.destroy())
        if (body) onward.end(body)
        else request.pipe(onward)
      }
      handle(request, pass, response)
    })
  }
})
