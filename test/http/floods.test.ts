/*
 * Requests that have very much of something: each is answered or refused with one sentence, before the server has read or done more than
 * a bounded part of it, and the next request is served.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { cacheAnswers } from '../../src/http/cached-answers.ts'
import { headOf, openRaw, parseAnswer, type RawRequest } from '../support/raw-http.ts'
import { type TestApp, testApp } from '../support/test-app.ts'

const MiB = 1024 ** 2
const tus = { 'tus-resumable': '1.0.0' }
const urls = (count: number) => Array.from({ length: count }, () => `/files/${randomUUID()}`).join(' ')
const final = (header: string): RawRequest => ({
  method: 'POST',
  path: '/files',
  headers: { ...tus, 'upload-concat': header },
  body: '',
})
const form = { 'content-type': 'multipart/form-data; boundary=b', 'transfer-encoding': 'chunked' }
const field = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'

interface Flood {
  request: RawRequest
  /** The body is this text again and again, until the server stops reading it. */
  endless?: string
  status: number
  /** The code of a refusal. */
  code?: string
}

const floods: [string, Flood][] = [
  ['a list of 40,000 partial uploads', { request: final(`final;${urls(40_000)}`), status: 431 }],
  [
    'a list of 501 partial uploads',
    { request: final(`final;${'/files/x '.repeat(501)}`), status: 400, code: 'INVALID_REQUEST' },
  ],
  [
    'a list of 500 unknown partial uploads',
    { request: final(`final;${urls(500)}`), status: 404, code: 'UPLOAD_NOT_FOUND' },
  ],
  [
    'a query string of 200 KB',
    { request: { method: 'GET', path: `/v1/uploads?${'a=1&'.repeat(50_000)}` }, status: 431 },
  ],
  [
    'a query string of 60 KB of names',
    {
      request: { method: 'GET', path: `/v1/uploads?${Array.from({ length: 8000 }, (_, n) => `k${n}=`).join('&')}` },
      status: 200,
    },
  ],
  [
    'the same parameter 15,000 times',
    {
      request: { method: 'GET', path: `/v1/uploads?${'limit=1&'.repeat(7000)}` },
      status: 400,
      code: 'INVALID_REQUEST',
    },
  ],
  [
    'fields of a form without end',
    {
      request: { method: 'POST', path: '/v1/files', headers: form },
      endless: field,
      status: 400,
      code: 'INVALID_REQUEST',
    },
  ],
  [
    'empty files of a form without end',
    {
      request: { method: 'POST', path: '/v1/files', headers: form },
      endless: field.replace('"a"', '"a"; filename="a.txt"').replace('1', ''),
      status: 400,
      code: 'INVALID_REQUEST',
    },
  ],
  [
    'a form that begins with text without end',
    {
      request: { method: 'POST', path: '/v1/files', headers: form },
      endless: 'text\r\n',
      status: 400,
      code: 'INVALID_REQUEST',
    },
  ],
  [
    'headers of a file in a form without end',
    {
      request: { method: 'POST', path: '/v1/files', headers: form },
      endless: `X-${'a'.repeat(80)}: b\r\n`,
      status: 400,
      code: 'INVALID_REQUEST',
    },
  ],
]

async function listen(): Promise<{ app: TestApp; port: number; headers: Record<string, string> }> {
  const app = await testApp()
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.http.server.address() as AddressInfo).port, headers: await app.as() }
}

it.each(floods)('%s is answered once, and the next request is served', async (_what, flood) => {
  const { request, endless, status, code } = flood
  const { app, port, headers } = await listen()
  const connection = await openRaw(port)
  onTestFinished(() => connection.cut())

  await connection.send(headOf({ ...request, headers: { ...request.headers, ...headers } }))
  let sent = 0
  if (endless !== undefined) {
    const block = endless.repeat(Math.ceil(65_536 / endless.length))
    const framed = `${block.length.toString(16)}\r\n${block}\r\n`
    while (!connection.received().includes('\r\n\r\n') && sent < 64 * MiB) {
      sent += framed.length
      if (!connection.socket.write(framed)) await Promise.race([once(connection.socket, 'drain'), connection.closed()])
    }
  } else if (request.body !== undefined) await connection.send(request.body)
  await connection.until(/\r\n\r\n/)
  if (endless === undefined) await connection.closed()
  const answer = parseAnswer(connection.received())

  expect(answer?.status).toBe(status)
  if (code !== undefined) expect(answer?.body).toContain(`"code":"${code}"`)
  expect(sent).toBeLessThan(16 * MiB)
  expect((await app.http.inject({ url: '/v1/uploads', headers })).statusCode).toBe(200)
})

it('a thousand ranges of an asset are one answer, rendered once for all requests', async () => {
  let rendered = 0
  const app = fastify()
  onTestFinished(() => app.close())
  cacheAnswers(app, () => true)
  app.get('/assets/a.js', () => `rendered ${++rendered}`)
  const headers = { range: `bytes=${Array.from({ length: 1000 }, (_, n) => `${n}-${n}`).join(',')}` }

  const [first, second] = [
    await app.inject({ url: '/assets/a.js', headers }),
    await app.inject({ url: '/assets/a.js', headers }),
  ]

  expect([first.statusCode, first.body, second.body]).toEqual([200, 'rendered 1', 'rendered 1'])
})
