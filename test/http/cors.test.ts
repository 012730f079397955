import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { originMatcher } from '../../src/http/cors.ts'
import { sharedApp } from '../support/test-app.ts'

const urls = [
  '/v1/uploads',
  '/v1/admin/policies',
  '/api/upload/init',
  '/files',
  '/files/00000000-0000-4000-8000-000000000000',
]

type App = Awaited<ReturnType<typeof sharedApp>>

function preflight(app: App, url: string, origin = 'https://app.example.org', method = 'POST') {
  const headers = { origin, 'access-control-request-method': method, 'access-control-request-headers': 'traceparent' }
  return app.http.inject({ method: 'OPTIONS', url, headers })
}

const listOf = (value: unknown) =>
  String(value ?? '')
    .split(',')
    .map((item) => item.trim().toLowerCase())

describe.each(urls)('a page of another origin at %s', (url) => {
  it('may send the headers of all protocols, of tracing and of CORS_HEADERS', async () => {
    const app = await sharedApp({ CORS_HEADERS: 'apikey, x-upsert, X-Tenant' })

    const answer = await preflight(app, url)

    expect(answer.statusCode).toBe(204)
    expect(answer.headers['access-control-allow-origin']).toBe('*')
    expect(listOf(answer.headers['access-control-allow-headers'])).toEqual(
      expect.arrayContaining([
        ...['authorization', 'content-type', 'tus-resumable', 'upload-offset', 'x-chunk-index', 'content-md5'],
        ...['traceparent', 'tracestate', 'baggage', 'x-requested-with', 'apikey', 'x-upsert', 'x-tenant'],
      ]),
    )
    expect(listOf(answer.headers['access-control-allow-methods'])).toEqual(
      expect.arrayContaining(['get', 'head', 'post', 'put', 'patch', 'delete']),
    )
  })

  it('may read error responses and their headers if its origin is allowed', async () => {
    const app = await sharedApp({ CORS_ORIGINS: 'https://*.example.org', CORS_CREDENTIALS: 'true' })
    const request = (origin: string) =>
      app.http.inject({ method: url.startsWith('/api') ? 'POST' : 'GET', url, headers: { origin } })

    const allowed = await request('https://app.example.org')
    const other = await request('https://app.example.com')

    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.org',
      'access-control-allow-credentials': 'true',
      vary: expect.stringContaining('Origin'),
    })
    expect(listOf(allowed.headers['access-control-expose-headers'])).toEqual(
      expect.arrayContaining(['location', 'retry-after', 'upload-offset', 'upload-resume-token', 'x-request-id']),
    )
    expect(other.headers['access-control-allow-origin']).toBeUndefined()
    expect(other.headers.vary).toContain('Origin')
  })
})

describe('an origin', () => {
  const isAllowed = originMatcher([
    'https://*.example.org',
    'https://one.example',
    'http://localhost:*',
    'capacitor://localhost',
  ])

  it.each([
    'https://app.example.org',
    'https://a.b.example.org',
    'https://one.example',
    'http://localhost',
    'http://localhost:5173',
    'capacitor://localhost',
  ])('%s is allowed by the patterns', (origin) => {
    expect(isAllowed(origin)).toBe(true)
  })

  it.each([
    'https://example.org',
    'http://app.example.org',
    'https://app.example.org:8443',
    'https://app.example.org.evil.example',
    'https://evilexample.org',
    'https://evil.example/.example.org',
    'https://x@.example.org',
    'https://appxexample.org',
    'https://one.example.evil',
    'http://localhost:x',
    'http://localhost.evil.example',
    'https://app.example.org.',
    'https://app.example.org.evil.com',
    'https://evil-example.org',
    'https://app.example.orgevil.com',
    'https://app.example.org@evil.example',
    'https://app.example.org%2eevil.example',
    'https://app.example.org\\.evil.example',
    'https://app.example.org https://evil.example',
    'https://evil.example#.example.org',
    'https://evil.example?.example.org',
    'https://.example.org',
    'https://a..example.org',
    'https://app.example.org\nx',
    'https://ｅxample.org',
    'http://localhost:',
    'http://localhost:123456',
    'http://localhost:80@evil.example',
    'http://localhost:80.evil.example',
    'https://one.example:443',
    'wss://one.example',
    'https:one.example',
    'capacitor://localhost:1',
    'file://',
    'null',
    '',
  ])('%s is not', (origin) => {
    expect(isAllowed(origin)).toBe(false)
  })

  it('gets CORS headers only if it is allowed, also with credentials', async () => {
    const app = await sharedApp({
      CORS_ORIGINS: 'https://*.example.org, https://one.example',
      CORS_CREDENTIALS: 'true',
    })
    const request = (method: 'GET' | 'OPTIONS', url: string, origin: string) =>
      app.http.inject({ method, url, headers: { origin, 'access-control-request-method': 'PATCH' } })
    const origins = ['null', '*', 'https://evil-example.org', 'https://one.example.evil.com', 'https://one.example.']

    for (const origin of origins)
      for (const url of [...urls, '/v1/none', '/livez', '/docs', '/'])
        for (const method of ['GET', 'OPTIONS'] as const) {
          const { headers } = await request(method, url, origin)
          const corsHeaders = Object.keys(headers).filter((name) => name.startsWith('access-control-'))
          expect([origin, url, method, corsHeaders]).toEqual([origin, url, method, []])
        }
    const { headers } = await request('OPTIONS', '/files', 'https://one.example')
    expect(headers['access-control-allow-headers']).not.toContain('*')
  })

  it.each([
    ['CORS_ORIGINS', 'null'],
    ['CORS_ORIGINS', 'https://*'],
    ['CORS_ORIGINS', 'https://*.org'],
    ['CORS_ORIGINS', '*.example.org'],
    ['CORS_ORIGINS', 'https://app*.example.org'],
    ['CORS_ORIGINS', 'https://app.*.org'],
    ['CORS_ORIGINS', 'https://*.*.example.org'],
    ['CORS_ORIGINS', 'https://app.example.org/'],
    ['CORS_ORIGINS', 'https://app.example.org/path'],
    ['CORS_ORIGINS', 'https://app.example.org, *'],
    ['CORS_ORIGINS', 'app.example.org'],
    ['CORS_HEADERS', '*'],
    ['CORS_HEADERS', 'x tenant'],
    ['CORS_HEADERS', 'x-a: b'],
  ])('pattern that can never match stops the start: %s=%s', (name, value) => {
    expect(() => loadConfig({ [name]: value })).toThrow(name)
  })

  it('never gets credentials if every origin is allowed', () => {
    expect(() => loadConfig({ CORS_CREDENTIALS: 'true' })).toThrow('CORS_CREDENTIALS')
  })
})

it('preflights do not count as requests of an address', async () => {
  const app = await sharedApp({ REQUESTS_PER_ADDRESS: '5' })
  const from = { remoteAddress: '203.0.113.9' }
  const headers = { origin: 'https://app.example.org', 'access-control-request-method': 'POST' }

  for (let n = 0; n < 5; n += 1)
    expect((await app.http.inject({ method: 'OPTIONS', url: '/files', headers, ...from })).statusCode).toBe(204)

  const answer = await app.http.inject({ method: 'GET', url: '/v1/uploads', headers: await app.as(), ...from })
  expect(answer.statusCode).toBe(200)
})

it.each([
  ['GET', '/v1/none'],
  ['PATCH', '/v1/uploads/a/b/c'],
  ['GET', '/api/none'],
  ['POST', '/api/upload/none'],
] as const)('a page of an allowed origin may read a 404: %s %s', async (method, url) => {
  const app = await sharedApp({ CORS_ORIGINS: 'https://*.example.org' })
  const headers = { origin: 'https://app.example.org', ...(await app.as()) }

  const answer = await app.http.inject({ method, url, headers })

  expect([answer.statusCode, answer.json().error.code]).toEqual([404, expect.any(String)])
  expect(answer.headers['access-control-allow-origin']).toBe('https://app.example.org')
  const other = await app.http.inject({ method, url, headers: { ...headers, origin: 'https://other.example' } })
  expect(other.headers).not.toHaveProperty('access-control-allow-origin')
})
