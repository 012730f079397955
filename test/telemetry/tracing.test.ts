import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openExporter, readTraceParent, type Span } from '../../src/telemetry/spans.ts'
import { png } from '../media/built.ts'
import { testApp } from '../support/test-app.ts'
import { until } from '../support/until.ts'

interface ExportedSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: { stringValue?: string; intValue?: string } }[]
  status?: { code: number }
}

/** A collector that keeps the spans it receives. */
async function openCollector(status = 200) {
  const spans: ExportedSpan[] = []
  const requests: { path: string; headers: Record<string, unknown>; service: string }[] = []
  const receive = async (request: IncomingMessage) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const [{ resource, scopeSpans }] = JSON.parse(text).resourceSpans
    requests.push({ path: request.url!, headers: request.headers, service: resource.attributes[0].value.stringValue })
    spans.push(...scopeSpans[0].spans)
  }
  const server = createServer((request, response) => {
    void receive(request).then(() => response.writeHead(status).end('{}'))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, requests }
}

const traceId = '0af7651916cd43dd8448eb211c80319c'
const parentId = 'b7ad6b7169203331'

describe('a traced request', () => {
  it('is a span in the trace of its client, with its store and database calls below', async () => {
    const collector = await openCollector()
    const app = await testApp({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=blue%20whale',
    })
    await app.http.listen({ port: 0, host: '127.0.0.1' })
    const url = `http://127.0.0.1:${(app.http.server.address() as AddressInfo).port}`

    const answer = await fetch(`${url}/v1/files/a.png`, {
      method: 'PUT',
      headers: { ...(await app.as()), 'content-type': 'image/png', traceparent: `00-${traceId}-${parentId}-01` },
      body: new Uint8Array(png),
    })
    await answer.text()
    await app.stop()

    expect(answer.status).toBe(201)
    const request = collector.spans.find(({ kind }) => kind === 2)!
    expect(request).toMatchObject({ traceId, parentSpanId: parentId, name: 'PUT /v1/files/:name' })
    expect(request.attributes).toContainEqual({ key: 'http.response.status_code', value: { intValue: '201' } })
    const steps = collector.spans.filter(({ kind }) => kind === 3)
    expect(steps.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['database upload-insert', 'store put', 'database upload-save-complete']),
    )
    for (const step of steps) {
      expect(step).toMatchObject({ traceId, parentSpanId: request.spanId })
      expect(Number(step.endTimeUnixNano)).toBeGreaterThanOrEqual(Number(step.startTimeUnixNano))
    }
    expect(collector.requests[0]).toMatchObject({ path: '/v1/traces', service: 'landfall' })
    expect(collector.requests[0]!.headers['x-team']).toBe('blue whale')
    expect(JSON.stringify(collector.spans)).not.toMatch(/Bearer|creator\/ada/)
  })

  it('has the parts that its body fills below it', async () => {
    const collector = await openCollector()
    const app = await testApp({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, PART_SIZE: '64KiB' })
    await app.http.listen({ port: 0, host: '127.0.0.1' })
    const url = `http://127.0.0.1:${(app.http.server.address() as AddressInfo).port}`

    const answer = await fetch(`${url}/v1/files/a.bin`, {
      method: 'PUT',
      headers: await app.as(),
      body: new Uint8Array(5 * 64 * 1024),
    })
    await answer.text()
    await app.stop()

    const request = collector.spans.find(({ kind }) => kind === 2)!
    const parts = collector.spans.filter(({ name }) => name === 'store uploadPart')
    expect(parts.length).toBeGreaterThan(3)
    for (const part of parts) expect(part.traceId).toBe(request.traceId)
  })

  it('is not exported when its client does not sample it, nor are background jobs', async () => {
    const collector = await openCollector()
    const app = await testApp({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })

    await app.http.inject({
      url: '/v1/me',
      headers: { ...(await app.as()), traceparent: `00-${traceId}-${parentId}-00` },
    })
    await app.http.close()

    expect(collector.spans).toEqual([])
  })
})

describe('a traceparent header', () => {
  it.each([
    [`00-${traceId}-${parentId}-01`, { traceId, parentId, isSampled: true }],
    [`00-${traceId}-${parentId}-00`, { traceId, parentId, isSampled: false }],
    [`cc-${traceId}-${parentId}-01-more`, { traceId, parentId, isSampled: true }],
    [`ff-${traceId}-${parentId}-01`, null],
    [`00-${'0'.repeat(32)}-${parentId}-01`, null],
    [`00-${traceId}-${'0'.repeat(16)}-01`, null],
    [`00-${traceId.toUpperCase()}-${parentId}-01`, null],
    ['nonsense', null],
    [undefined, null],
  ])('is parsed: %s', (header, parent) => {
    expect(readTraceParent(header)).toEqual(parent)
  })
})

describe('a failing collector', () => {
  it('is reported once, and spans are dropped instead of piling up', async () => {
    const collector = await openCollector(503)
    const errors: unknown[] = []
    const exporter = openExporter({
      endpoint: `${collector.url}/`,
      headers: {},
      service: 'landfall',
      version: '0',
      everyMs: 20,
      onError: (error) => errors.push(error),
    })
    const span: Span = {
      traceId,
      spanId: parentId,
      parentId: null,
      name: 'x',
      kind: 'server',
      startedAt: 1_700_000_000_000.5,
      endedAt: 1_700_000_000_001,
      attributes: {},
      error: null,
    }

    for (let sent = 0; sent < 20_000; sent += 1) exporter.send(span)
    await until(() => collector.requests.length >= 3)
    await exporter.close()

    expect(errors).toHaveLength(1)
    expect(collector.spans.length).toBeLessThanOrEqual(5000)
    expect(collector.spans[0]!.startTimeUnixNano).toBe('1700000000000500000')
  })
})
