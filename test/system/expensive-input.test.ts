/*
 * The most expensive input that an unauthenticated client or a user can send to every route: none may cost much more than reading it, and
 * none may cause a 5xx response.
 */
import type { InjectOptions } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type App, buildApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config.ts'
import { userOf } from '../../src/core/upload.ts'
import { signToken } from '../../src/http/identity/secret.ts'
import { type Row, rows } from '../identity/routes.ts'
import { memoryStore } from '../support/memory-store.ts'
import { testDatabase } from '../support/open-engine.ts'

const secret = 'a secret that is long enough for HS256'
const id = '00000000-0000-4000-8000-000000000000'
/** CPU time of one request. Reading 64 KB takes a millisecond; a regular expression that backtracks takes seconds. */
const maxMs = 150
/** Half of the size that Node allows for all headers of a request. */
const longest = 30_000

/** Texts that make ambiguous regular expressions backtrack. */
const patterns: Record<string, string> = {
  letters: 'a'.repeat(longest),
  'letters and an end that fits nothing': `${'a'.repeat(longest)}!`,
  zeros: '0'.repeat(longest),
  spaces: ` ${' '.repeat(longest)}x`,
  tabs: `x${'\t'.repeat(longest)}x`,
  dots: `${'.'.repeat(longest)}x`,
  'dots and letters': `${'a.'.repeat(longest / 2)}!`,
  'dots and spaces': `x${'. '.repeat(longest / 2)}x`,
  'spaces in the middle': `x${' '.repeat(longest)}x`,
  'slashes and a letter': `/a${'/'.repeat(longest)}a`,
  slashes: '/'.repeat(longest),
  'paths upwards': '/..'.repeat(longest / 3),
  backslashes: '\\'.repeat(longest),
  quotes: '"'.repeat(longest),
  'quoted backslashes': `"${'\\"'.repeat(longest / 2)}`,
  commas: ','.repeat(longest),
  'commas and spaces': ', '.repeat(longest / 2),
  semicolons: ';'.repeat(longest),
  parameters: 'a=b;'.repeat(longest / 4),
  'parameters without a value': ';a'.repeat(longest / 2),
  'equal signs': '='.repeat(longest),
  colons: ':'.repeat(longest),
  'colons in brackets': `[${':'.repeat(longest)}`,
  brackets: '('.repeat(longest),
  percents: '%'.repeat(longest),
  'percent codes': '%61'.repeat(longest / 3),
  'percent codes of half a character': '%e2%80'.repeat(longest / 6),
  dashes: `${'-'.repeat(longest)}x`,
  'Base64 without an end': `a ${'A'.repeat(longest)}`,
  'many keys': Array.from({ length: longest / 6 }, (_, n) => `k${n}`).join(','),
  'many keys with values': Array.from({ length: longest / 12 }, (_, n) => `k${n} YQ==`).join(','),
  digests: 'sha-256=:'.repeat(longest / 9),
  addresses: '1.1.1.1, '.repeat(longest / 9),
  'a URL of many parts': `http://${'a:a@'.repeat(longest / 4)}`,
  'partial uploads': `final;${` /files/${id}`.repeat(longest / 44)}`,
  ranges: `bytes=${'0-0,'.repeat(longest / 4)}`,
  'a token': `Bearer ${'a.'.repeat(longest / 2)}`,
  'a token of one part': `Bearer ${'a'.repeat(longest)}`,
  'a key': `Bearer lf_${'a_'.repeat(longest / 2)}`,
  'spaces before a token': `Bearer${' '.repeat(longest)}x`,
  'a long number': `${'9'.repeat(longest)}`,
  'a number with many zeros': `0.${'0'.repeat(longest)}1`,
}

/** Headers that affect a request, one at a time, and all others together. */
const headers: Record<string, string[]> = {
  ...Object.fromEntries(
    [
      ...['authorization', 'host', 'range', 'if-match', 'content-type', 'content-encoding', 'content-disposition'],
      ...['content-digest', 'repr-digest', 'want-repr-digest', 'content-md5', 'last-event-id'],
      ...['x-http-method-override', 'x-upload-id', 'x-chunk-index', 'tus-resumable', 'upload-length', 'upload-offset'],
      ...['upload-metadata', 'upload-concat', 'upload-checksum', 'upload-defer-length', 'upload-complete'],
      ...['upload-incomplete', 'upload-draft-interop-version'],
    ].map((name) => [name, [name]]),
  ),
  'origin and all others': [
    ...['origin', 'cookie', 'accept', 'accept-encoding', 'if-none-match', 'if-modified-since', 'user-agent', 'expect'],
    ...['x-request-id', 'x-forwarded-for', 'x-forwarded-prefix', 'x-forwarded-host', 'x-forwarded-proto', 'forwarded'],
    ...['via', 'traceparent', 'tracestate', 'baggage', 'x-api-key', 'access-control-request-headers'],
    'access-control-request-method',
  ],
}

/** One request per handler that reads headers. */
const forms = [
  'GET /v1/me',
  'POST /v1/explain',
  'PUT /v1/files/:name',
  'POST /v1/files',
  'POST /v1/uploads/init',
  'PUT /v1/uploads/:id/chunk',
  'POST /files',
  'PATCH /files/:id',
  'HEAD /files/:id',
  'POST /files (rufh)',
  'PATCH /files/:id (rufh)',
].map((route) => rows.find((row) => row.route === route)!)
/** Requests whose headers are read before authentication. */
const unauthenticatedForms: Row[] = [
  rows.find(({ route }) => route === 'PUT /v1/files/:name')!,
  { route: 'OPTIONS /files', kind: 'nothing', ok: 204, request: () => ({ url: '/files' }) },
  { route: 'POST /none', kind: 'nothing', ok: 404, request: () => ({ url: '/none', payload: 'x' }) },
]

let app: App
let bearer: Record<string, string>

beforeAll(async () => {
  const config = loadConfig({
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://elsewhere/landfall',
    LOG_LEVEL: 'silent',
    JWT_SECRET: secret,
    DATA_DIR: '/nowhere',
    TRUST_PROXY: 'true',
    CORS_ORIGINS: 'https://*.example.org,http://localhost:*',
    REQUESTS_PER_ADDRESS: '0',
    METRICS_TOKEN: 'the-token-of-the-metrics-0123456789',
  })
  app = await buildApp(config, { store: memoryStore(), database: await testDatabase() })
  bearer = { authorization: `Bearer ${await signToken(secret, userOf('ann', 'creator', { isAdmin: true }), 3600)}` }
})
afterAll(() => app.http.close())

type Sent = { method: string; url: string; headers?: Record<string, string>; payload?: string | object }

/** What is wrong with the response to `sent`; `null` for nothing. Only slow twice counts: once may be a garbage collection. */
async function problemOf(name: string, sent: Sent): Promise<string | null> {
  const ask = async () => {
    const before = process.threadCpuUsage()
    const { statusCode } = await app.http.inject(sent as InjectOptions)
    const { user, system } = process.threadCpuUsage(before)
    return { statusCode, ms: (user + system) / 1000 }
  }
  const { statusCode, ms } = await ask()
  if (statusCode >= 500) return `${name}: ${statusCode}`
  if (ms <= maxMs) return null
  const again = await ask()
  return again.ms > maxMs ? `${name}: ${Math.round(again.ms)} ms` : null
}

async function problemsOf(all: Iterable<[string, Sent]>): Promise<string[]> {
  const problems: string[] = []
  for (const [name, sent] of all) {
    const problem = await problemOf(name, sent)
    if (problem) problems.push(problem)
  }
  return problems
}

const methodOf = (route: string) => route.split(' ')[0]!
const filled = (row: Row) => ({ method: methodOf(row.route), ...row.request(id, id) })

describe.each([true, false])('the most expensive input, from an authenticated user: %s', (isUser) => {
  const credentials = () => (isUser ? bearer : {})

  it.each(Object.entries(headers))('costs little and causes no 5xx in the header %s', async (_name, names) => {
    const all = function* (): Generator<[string, Sent]> {
      for (const row of isUser ? forms : unauthenticatedForms)
        for (const [name, text] of Object.entries(patterns)) {
          const sent = filled(row)
          yield [
            `${name} to ${row.route}`,
            {
              ...sent,
              headers: { ...sent.headers, ...credentials(), ...Object.fromEntries(names.map((name) => [name, text])) },
            },
          ]
        }
    }

    expect(await problemsOf(all())).toEqual([])
  })

  it('costs little and causes no 5xx in the query of any route', async () => {
    const queries = {
      'many parameters': Array.from({ length: 10_000 }, (_, n) => `k${n}=1`).join('&'),
      'one parameter many times': 'limit=1&'.repeat(8000),
      'parameters without a name': '=&'.repeat(30_000),
      ampersands: '&'.repeat(longest),
      'nested parameters': `a${'[a]'.repeat(20_000)}=1`,
      'percent codes': `limit=${'%61'.repeat(20_000)}`,
      'half a percent code': `limit=${'%'.repeat(longest)}`,
      __proto__: '__proto__[a]=1&__proto__=1&constructor=1',
      'infinite numbers': 'limit=1e999&before=1e999&from=1e999',
      zeros: `after=${'0'.repeat(longest)}&limit=${'9'.repeat(400)}`,
      'null characters': 'after=%00&user=%00&tenant=%00&limit=%00',
      'half a surrogate': 'user=%ed%a0%80&after=%ed%a0%80',
    }
    const all = function* (): Generator<[string, Sent]> {
      for (const row of rows)
        for (const [name, query] of Object.entries(queries)) {
          const sent = filled(row)
          const url = `${sent.url}${sent.url.includes('?') ? '&' : '?'}${query}`
          yield [`${name} to ${row.route}`, { ...sent, url, headers: { ...sent.headers, ...credentials() } }]
        }
    }

    expect(await problemsOf(all())).toEqual([])
  })

  it('costs little and causes no 5xx in the path of any route', async () => {
    const parts = [
      'a'.repeat(longest),
      '%2e%2e%2f'.repeat(6000),
      '.'.repeat(longest),
      '%00',
      '%ed%a0%80',
      '%',
      '%e2%80%ae.exe',
      '/'.repeat(longest),
    ]
    const all = function* (): Generator<[string, Sent]> {
      for (const row of rows)
        for (const part of parts) {
          const sent = filled(row)
          const url = sent.url.includes(id) ? sent.url.replace(id, part) : `${sent.url}/${part}`
          yield [
            `${part.slice(0, 12)} to ${row.route}`,
            { ...sent, url, headers: { ...sent.headers, ...credentials() } },
          ]
        }
    }

    expect(await problemsOf(all())).toEqual([])
  })

  it('costs little and causes no 5xx in the JSON of any route', async () => {
    const text = (value: string) =>
      JSON.stringify({
        ...{ file_name: value, content_type: value, category: value, fingerprint: value, user_id: value, role: value },
        ...{ name: value, user: value, tenant: value, filename: value, contentType: value, upload_id: value },
        ...{
          total_size: 5,
          scopes: [value],
          metadata: { a: value },
          policies: { roles: { [value.slice(0, 60)]: { fileNames: { deny: [value] } } } },
        },
      })
    const bodies: Record<string, string> = {
      ...Object.fromEntries(Object.entries(patterns).map(([name, pattern]) => [name, text(pattern.slice(0, 4500))])),
      ...Object.fromEntries(
        Object.entries(patterns).map(([name, pattern]) => [
          `long ${name}`,
          `{"total_size":1,"file_name":${JSON.stringify(pattern)}}`,
        ]),
      ),
      'half a surrogate': text('a\ud800b'),
      'marks on one letter': text(`a${'\u0301'.repeat(4000)}`),
      'a ligature that grows when it is normalized': text('\ufdfa'.repeat(4000)),
      'null characters': text('a\u0000b'),
      'turned text': text('\u202e\u2066gpj.exe'),
      'a name twice': '{"file_name":"a","file_name":"b","total_size":5,"total_size":6}',
      'names of prototypes':
        '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"x":1}},"file_name":"a","total_size":5}',
      '10,000 names': `{${Array.from({ length: 8000 }, (_, n) => `"k${n}":1`).join(',')}}`,
      'metadata of 10,000 names': `{"file_name":"a","total_size":5,"metadata":{${Array.from({ length: 5000 }, (_, n) => `"k${n}":"v"`).join(',')}}}`,
      'many parts': `{"upload_id":"${id}","parts":[${Array.from({ length: 3000 }, (_, n) => `{"n":${n}}`).join(',')}]}`,
      brackets: '['.repeat(60_000),
      'an infinite number': `{"file_name":"a","total_size":1e999}`,
      'several infinite numbers':
        '{"file_name":"a","total_size":1e999,"size":1e999,"chunk_size":1e999,"version":1e999,"parts":[{"part":1e999}]}',
      'a long number': `{"file_name":"a","total_size":${'9'.repeat(60_000)}}`,
      'no object': 'null',
      'a text': '"a"',
      'a list': '[]',
    }
    const routes = rows.filter(
      (row) => typeof row.request(id, id).payload === 'object' || row.route.endsWith('/complete'),
    )
    const all = function* (): Generator<[string, Sent]> {
      for (const row of routes)
        for (const [name, payload] of Object.entries(bodies)) {
          const sent = filled(row)
          const json = { ...sent.headers, ...credentials(), 'content-type': 'application/json' }
          yield [`${name} to ${row.route}`, { ...sent, headers: json, payload }]
        }
    }

    expect(await problemsOf(all())).toEqual([])
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined()
  })
})
