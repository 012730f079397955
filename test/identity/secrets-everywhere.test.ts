/*
 * A client may send a secret in any place of a request, also where it does not belong. Every route gets requests with a secret in every
 * place; none may appear in what the server writes: log at trace, responses, audit log, metrics.
 */
import { expect, it, onTestFinished } from 'vitest'
import { buildApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import { userOf } from '../../src/core/upload.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { memoryStore } from '../support/memory-store.ts'
import { testDatabase } from '../support/open-engine.ts'
import { rows } from './routes.ts'

const secret = 'a secret that is long enough for HS256'
const marker = 'swordfish0123456789'
const metricsToken = 'the-token-of-the-metrics-0123456789'
const id = '00000000-0000-4000-8000-000000000000'

type Sent = { url: string; headers?: Record<string, string>; payload?: string | object }

/** Places for a secret: each function puts it into a request. */
const places: Record<string, (sent: Sent) => Sent> = {
  'a bearer token': (sent) => withHeaders(sent, { authorization: `Bearer ${marker}.${marker}.${marker}` }),
  'a key': (sent) => withHeaders(sent, { authorization: `Bearer lf_${marker}${marker}${marker}` }),
  'a basic password': (sent) => withHeaders(sent, { authorization: `Basic ${marker}` }),
  'a bare token': (sent) => withHeaders(sent, { authorization: marker }),
  'other headers': (sent) =>
    withHeaders(sent, {
      ...{ 'x-api-key': marker, 'proxy-authorization': `Bearer ${marker}`, 'upload-resume-token': marker },
      ...{ 'x-auth-token': marker, 'x-amz-security-token': marker, 'x-csrf-token': marker, apikey: marker },
    }),
  cookies: (sent) => withHeaders(sent, { cookie: `session=${marker}; token=${marker}` }),
  'the query': (sent) =>
    inQuery(
      sent,
      ['token', 'access_token', 'resume_token', 'jwt', 'authorization', 'to%6ben', 'TOKEN', 'auth[token]', 'x']
        .map((name) => `${name}=${marker}`)
        .join('&'),
    ),
  'a parameter without a value': (sent) => inQuery(sent, marker),
  'a parameter that is checked': (sent) =>
    inQuery(sent, `limit=${marker}&before=${marker}&live=${marker}&since=${marker}`),
  'a second question mark': (sent) => inQuery(sent, `a?${marker}=${marker}`),
  'the user of a URL': (sent) => ({ ...sent, url: `http://${marker}:${marker}@a.example${sent.url}` }),
  'a token in JSON': (sent) => inJson(sent, JSON.stringify({ token: marker, password: marker, jwt: marker })),
  'JSON that breaks off': (sent) => inJson(sent, `{"token":"${marker}"`),
  'JSON of another form': (sent) => inJson(sent, `["${marker}"]`),
  metadata: (sent) =>
    withHeaders(sent, { 'upload-metadata': `token ${Buffer.from(marker).toString('base64')},jwt ${marker}AA=` }),
}

function withHeaders(sent: Sent, headers: Record<string, string>): Sent {
  return { ...sent, headers: { ...sent.headers, ...headers } }
}

function inQuery(sent: Sent, query: string): Sent {
  return { ...sent, url: `${sent.url}${sent.url.includes('?') ? '&' : '?'}${query}` }
}

function inJson(sent: Sent, payload: string): Sent {
  return { ...withHeaders(sent, { 'content-type': 'application/json' }), payload }
}

it('leaks no secret of any request to log, responses, audit log or metrics', async () => {
  const written: string[] = []
  const write = process.stdout.write
  process.stdout.write = ((text: unknown) => written.push(String(text)) > 0) as typeof write
  onTestFinished(() => void (process.stdout.write = write))
  const config = loadConfig({
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    LOG_LEVEL: 'trace',
    LOG_FORMAT: 'json',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    METRICS_TOKEN: metricsToken,
    API_DOCS: 'true',
  })
  const database = await testDatabase()
  const app = await buildApp(config, { store: memoryStore(), database })
  let isOpen = true
  const close = async () => {
    if (isOpen) await app.http.close()
    isOpen = false
  }
  onTestFinished(close)
  const admin = {
    authorization: `Bearer ${await signToken(secret, userOf('root', 'creator', { isAdmin: true }), 600)}`,
  }
  const others = [
    'GET /health',
    'GET /readyz',
    'GET /docs/json',
    'GET /metrics',
    'GET /',
    'GET /none',
    'POST /v1/dev/sign-in',
  ]
  const all = [
    ...rows.map(({ route, request }) => ({ route, sent: request(id, id) as Sent })),
    ...others.map((route) => ({ route, sent: { url: route.split(' ')[1]! } as Sent })),
  ]

  const leaks: string[] = []
  for (const { route, sent } of all)
    for (const [place, put] of Object.entries(places))
      for (const credentials of [{}, admin]) {
        const request = put(withHeaders(sent, credentials))
        const response = await app.http.inject({ ...request, method: route.split(' ')[0] as 'GET' })
        const headers = { ...response.headers }
        // tus: HEAD and the response to a creation echo the client's own metadata to itself.
        if (place === 'metadata') delete headers['upload-metadata']
        if (JSON.stringify([headers, response.body]).includes(marker))
          leaks.push(`${place} to ${route}: ${response.body.slice(0, 200)}`)
      }
  const metrics = await app.http.inject({ url: '/metrics', headers: { authorization: `Bearer ${metricsToken}` } })
  await close()
  const audit = await database.query({ name: 'all of the audit log', text: 'select * from audit_log' }, [])

  expect(leaks).toEqual([])
  expect(metrics.statusCode).toBe(200)
  expect(metrics.body).not.toContain(marker)
  expect(audit.length).toBeGreaterThan(0)
  expect(JSON.stringify(audit, (_key, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
    marker,
  )
  expect(written.length).toBeGreaterThan(all.length)
  expect(written.filter((line) => line.includes(marker)).slice(0, 5)).toEqual([])
})
