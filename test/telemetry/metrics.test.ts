import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { userOf } from '../../src/core/upload.ts'
import { createMetrics, watchGauges } from '../../src/telemetry/metrics.ts'
import { type Snapshot, snapshotOf } from '../../src/telemetry/snapshots.ts'
import { unavailable } from '../support/memory-store.ts'
import { ada, bodyOf, testDatabase } from '../support/open-engine.ts'
import { openRaw } from '../support/raw-http.ts'
import { type TestApp, testApp } from '../support/test-app.ts'

const token = 'a-token-for-prometheus'
const ask = { method: 'GET' as const, url: '/metrics', headers: { authorization: `Bearer ${token}` } }
const appWithMetrics = (env: Record<string, string> = {}) => testApp({ METRICS_TOKEN: token, ...env })

/** The values of `/metrics` by name with labels. */
async function scrape({ http }: TestApp): Promise<Map<string, number>> {
  const { statusCode, payload } = await http.inject(ask)
  expect(statusCode).toBe(200)
  const lines = payload.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

const creation = { filename: 'a.bin', contentType: 'application/octet-stream' }

describe('the metrics', () => {
  it('count received and stored bytes, and how uploads ended', async () => {
    const app = await appWithMetrics()
    const whole = Buffer.alloc(20_000, 1)

    const { id } = await app.engine.create(ada, { ...creation, size: whole.length })
    await app.engine.append(ada, id, { offset: 0, body: bodyOf(whole), bodySize: whole.length, ending: 'at-size' })
    const other = await app.engine.create(ada, { ...creation, size: whole.length })
    await app.engine.cancel(ada, other.id)

    const figures = await scrape(app)
    expect(figures.get('landfall_uploads_created_total{role="creator"}')).toBe(2)
    expect(figures.get('landfall_uploads_ended_total{state="completed",role="creator"}')).toBe(1)
    expect(figures.get('landfall_uploads_ended_total{state="cancelled",role="creator"}')).toBe(1)
    expect(figures.get('landfall_received_bytes_total')).toBe(whole.length)
    expect(figures.get('landfall_stored_bytes_total{as="object"}')).toBe(whole.length)
    expect(figures.get('landfall_bodies_total{end="complete"}')).toBe(1)
    expect(figures.get('landfall_store_call_seconds_count{call="put"}')).toBe(1)
    // The pairing marker.
    expect(figures.get('landfall_store_call_seconds_count{call="putOwn"}')).toBeGreaterThan(0)
    expect(figures.get('landfall_database_calls_total{statement="upload-insert"}')).toBe(2)
    expect(figures.get('landfall_buffer_bytes')).toBe(0)
    expect(figures.get('landfall_leases')).toBe(0)
  })

  it('show how many uploads are open, by state and role', async () => {
    const app = await appWithMetrics()
    await (await testDatabase()).query({ name: 'test-none', text: `delete from upload_sessions` }, [])
    await app.engine.create(ada, { ...creation, size: 10 })
    await app.engine.create(userOf('bob', 'subscriber'), { ...creation, size: 10, contentType: 'image/png' })

    const figures = await scrape(app)

    expect(figures.get('landfall_uploads{state="receiving",role="creator"}')).toBe(1)
    expect(figures.get('landfall_uploads{state="receiving",role="subscriber"}')).toBe(1)
    expect(figures.get('landfall_finishing_oldest_seconds')).toBe(0)
  })

  it('count errors by code and requests by route, and have no labels from clients', async () => {
    const app = await appWithMetrics()
    const headers = await app.as()

    await app.http.inject({ method: 'GET', url: '/v1/uploads' })
    await app.http.inject({ method: 'GET', url: '/v1/uploads/00000000-0000-0000-0000-000000000000', headers })
    for (let count = 0; count < 20; count += 1) await app.http.inject({ method: 'GET', url: `/made-up-${count}` })
    await app.http.inject({ method: 'PROPFIND' as 'GET', url: '/' })

    const figures = await scrape(app)
    expect(figures.get('landfall_errors_total{code="UNAUTHENTICATED",rule=""}')).toBe(1)
    expect(figures.get('landfall_errors_total{code="UPLOAD_NOT_FOUND",rule=""}')).toBe(1)
    expect(figures.get('landfall_request_seconds_count{method="GET",route="/v1/uploads/:id",status="404"}')).toBe(1)
    expect(figures.get('landfall_request_seconds_count{method="GET",route="none",status="404"}')).toBe(20)
    expect([...figures.keys()].filter((name) => /made-up|PROPFIND/.test(name))).toEqual([])
  })

  it('count requests beyond a limit by the name of the rule, in every protocol', async () => {
    const policies = { creator: { totalBytes: 1000 }, subscriber: { maxSize: 10 } }
    const app = await appWithMetrics({ POLICIES: JSON.stringify(policies) })
    const tus = { 'tus-resumable': '1.0.0', 'upload-length': '2000' }

    await app.http.inject({ method: 'POST', url: '/files', headers: { ...(await app.as()), ...tus } })
    await app.http.inject({
      method: 'POST',
      url: '/v1/uploads/init',
      headers: await app.as(),
      payload: { file_name: 'a.bin', content_type: 'application/octet-stream', total_size: 2000 },
    })
    const bob = await app.as({ id: 'bob', role: 'subscriber' })
    const picture = `filetype ${Buffer.from('image/png').toString('base64')}`
    await app.http.inject({ method: 'POST', url: '/files', headers: { ...bob, ...tus, 'upload-metadata': picture } })

    const figures = await scrape(app)
    expect(figures.get('landfall_errors_total{code="QUOTA_EXCEEDED",rule="totalBytes"}')).toBe(2)
    expect(figures.get('landfall_errors_total{code="FILE_TOO_LARGE",rule="maxSize"}')).toBe(1)
  })

  it('count the errors of the store', async () => {
    const app = await appWithMetrics()
    app.store.fault = (call) => {
      if (call === 'put') throw unavailable()
    }
    const { id } = await app.engine.create(ada, { ...creation, size: 5 })
    const sent = app.engine.append(ada, id, {
      offset: 0,
      body: bodyOf(Buffer.from('hello')),
      bodySize: 5,
      ending: 'at-size',
    })
    await expect(sent).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

    const figures = await scrape(app)
    expect(figures.get('landfall_store_errors_total{call="put",code="STORE_UNAVAILABLE"}')).toBe(1)
  })

  it('query the database for all servers at most every ten seconds', async () => {
    const app = await appWithMetrics()

    for (let count = 0; count < 5; count += 1) await scrape(app)

    expect((await scrape(app)).get('landfall_database_calls_total{statement="in-progress-find"}')).toBe(1)
  })
})

describe('/metrics', () => {
  it.each([
    ['a client on this machine', { host: 'localhost' }, {}, 404],
    ['a client on this machine that names its address', { host: '127.0.0.1:1080' }, {}, 404],
    ['a client on another machine', { host: 'localhost' }, { remoteAddress: '203.0.113.9' }, 404],
    ['a client with the token', { authorization: `Bearer ${token}` }, { remoteAddress: '203.0.113.9' }, 200],
    ['a client with another token', { authorization: 'Bearer nonsense' }, { remoteAddress: '203.0.113.9' }, 404],
  ])('for %s is decided by its headers and address', async (_client, headers, from, status) => {
    const { http } = await appWithMetrics()

    expect((await http.inject({ ...ask, headers, ...from })).statusCode).toBe(status)
  })

  it.each([{}, { authorization: 'Bearer undefined' }])('is closed when no token is set: %o', async (headers) => {
    const { http } = await testApp()

    expect((await http.inject({ ...ask, headers })).statusCode).toBe(404)
  })

  it('is open to every client on a port of its own, and then closed on the other', async () => {
    const { http, metricsHttp } = await testApp({ METRICS_PORT: '0' })

    expect((await http.inject(ask)).statusCode).toBe(404)
    const there = await metricsHttp!.inject({ ...ask, remoteAddress: '203.0.113.9' })
    expect([there.statusCode, there.headers['content-type']]).toEqual([200, expect.stringContaining('version=0.0.4')])
  })

  it('refuses ambiguous requests on a port of its own', async () => {
    const { metricsHttp } = await testApp({ METRICS_PORT: '0' })
    await metricsHttp!.listen({ host: '127.0.0.1', port: 0 })
    const connection = await openRaw((metricsHttp!.server.address() as AddressInfo).port)
    onTestFinished(() => connection.cut())

    // With two Host headers a proxy and the server could understand the request differently.
    await connection.send('GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')

    expect(await connection.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('limits requests per address on a port of its own, with the usual errors', async () => {
    const { metricsHttp } = await testApp({ METRICS_PORT: '0', REQUESTS_PER_ADDRESS: '2' })
    const get = (url: string, method: 'GET' | 'POST' = 'GET') =>
      metricsHttp!.inject({ method, url, remoteAddress: '203.0.113.9' })

    const responses = [await get('/none'), await get('/v1/me', 'POST'), await get('/none')]

    expect(responses.map((response) => [response.statusCode, response.json().error.code])).toEqual([
      [404, 'NOT_FOUND'],
      [404, 'NOT_FOUND'],
      [429, 'RATE_LIMITED'],
    ])
    for (const { headers } of responses) expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff' })
    expect([(await get('/metrics')).statusCode, (await get('/metrics')).statusCode]).toEqual([200, 200])
    expect((await get('/metrics')).statusCode).toBe(429)
  })

  it('does not wait for a body on a port of its own', async () => {
    const { metricsHttp } = await testApp({ METRICS_PORT: '0' })
    await metricsHttp!.listen({ host: '127.0.0.1', port: 0 })
    const connection = await openRaw((metricsHttp!.server.address() as AddressInfo).port)
    onTestFinished(() => connection.cut())

    await connection.send(
      'POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Type: text/x\r\nContent-Length: 1000000\r\n\r\nx',
    )

    expect(await connection.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 404 .*connection: close/s)
  })
})

describe('the dashboard and the alerts', () => {
  it.each(['docker/grafana/landfall.json', 'docker/prometheus/alerts.yml'])(
    'in %s name only existing metrics',
    async (file) => {
      const { http } = await appWithMetrics()
      const { payload } = await http.inject(ask)
      const kinds = [...payload.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
      const names = new Set(
        kinds.flatMap(([, name, kind]) =>
          kind === 'histogram' ? ['_bucket', '_count', '_sum'].map((end) => name + end) : [name],
        ),
      )

      const used = readFileSync(file, 'utf8').match(/\b(landfall|process|nodejs)_\w+/g) ?? []

      expect(used.length).toBeGreaterThan(10)
      expect([...new Set(used)].filter((name) => !names.has(name))).toEqual([])
    },
  )

  it('show every metric of Landfall', async () => {
    const { http } = await appWithMetrics()
    const { payload } = await http.inject(ask)
    const dashboard = readFileSync('docker/grafana/landfall.json', 'utf8')

    const names = [...payload.matchAll(/^# TYPE (landfall_\w+) /gm)].map(([, name]) => name!)

    expect(names.filter((name) => !dashboard.includes(name))).toEqual([])
  })
})

describe('the metrics of a server of several workers', () => {
  it('are sums of what each counts, and once what all share', async () => {
    const other = createMetrics('test')
    other.created.inc({ role: 'creator' }, 5)
    other.querySeconds.observe(0.3)
    other.open.set({ state: 'receiving', role: 'creator' }, 70)
    watchGauges(other, { landfall_buffer_limit_bytes: { help: 'a limit', value: () => 1000 } })
    const app = await testApp({ METRICS_TOKEN: token, MEMORY_BUDGET: '1MiB' }, peersWith([await snapshotOf(other)]))
    const queriesBefore = (await scrape(app)).get('landfall_database_call_seconds_bucket{le="+Inf"}')!
    await app.engine.create(ada, { ...creation, size: 10 })

    const figures = await scrape(app)

    expect(figures.get('landfall_uploads_created_total{role="creator"}')).toBe(6)
    expect(figures.get('landfall_database_call_seconds_bucket{le="+Inf"}')).toBeGreaterThan(queriesBefore)
    expect(figures.get('landfall_buffer_limit_bytes')).toBe(1024 ** 2 + 1000)
    expect(figures.get('landfall_uploads{state="receiving",role="creator"}')).not.toBe(71)
    expect([...figures.keys()].filter((name) => name.startsWith('landfall_info'))).toHaveLength(1)
    expect(figures.get('process_start_time_seconds')).toBeGreaterThan(0)
  })

  it('of one worker are asked for by the others', async () => {
    const offered: (() => Promise<Snapshot>)[] = []
    const app = await testApp({}, { peers: { collect: async () => [], offer: (take) => void offered.push(take) } })
    await app.engine.create(ada, { ...creation, size: 10 })

    const snapshot = await offered[0]!()

    const created = snapshot.find(({ name }) => name === 'landfall_uploads_created_total')
    expect(created?.values).toEqual([{ labels: { role: 'creator' }, value: 1 }])
  })
})

function peersWith(snapshots: Snapshot[]) {
  return { peers: { collect: async () => snapshots, offer() {} } }
}
