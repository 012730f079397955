/*
 * Exports spans to a collector, as OTLP over HTTP in JSON (opentelemetry.io/docs/specs/otlp). This file replaces the OpenTelemetry SDK,
 * which takes a hundred megabytes and two seconds at every start.
 */
import { randomBytes } from 'node:crypto'

export interface Span {
  traceId: string
  spanId: string
  parentId: string | null
  name: string
  kind: 'server' | 'client'
  /** Milliseconds since 1970, with fractions. */
  startedAt: number
  endedAt: number
  attributes: Record<string, string | number>
  /** The name of the error with which it failed, or the 5xx status of the response. */
  error: string | null
}

export interface Exporter {
  send(span: Span): void
  /** Sends the remaining spans. */
  close(): Promise<void>
}

export interface ExporterOptions {
  /** The base address of the collector; `/v1/traces` is added. */
  endpoint: string
  headers: Record<string, string>
  service: string
  version: string
  everyMs?: number
  onError(error: unknown): void
}

// More spans are dropped, so that an unreachable collector does not fill the memory.
const maxWaiting = 5000
const batchSize = 500
const answerMs = 5000

/** Sends spans in the background, in a batch every `everyMs`. */
export function openExporter({
  endpoint,
  headers,
  service,
  version,
  everyMs = 2000,
  onError,
}: ExporterOptions): Exporter {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  const resource = { attributes: attributesOf({ 'service.name': service, 'service.version': version }) }
  let waiting: Span[] = []
  let sending: Promise<void> = Promise.resolve()
  let isFailing = false
  const timer = setInterval(() => void flush(), everyMs)
  timer.unref()

  async function post(spans: Span[]): Promise<void> {
    const scopeSpans = [{ scope: { name: 'landfall' }, spans: spans.map(toOtlp) }]
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] }),
      signal: AbortSignal.timeout(answerMs),
    })
    await answer.body?.cancel()
    if (!answer.ok) throw new Error(`the trace collector answers ${answer.status}`)
  }

  function flush(): Promise<void> {
    const spans = waiting.splice(0, batchSize)
    if (spans.length === 0) return sending
    sending = sending
      .then(() => post(spans))
      .then(
        () => {
          isFailing = false
        },
        (error: unknown) => {
          // Reported once an outage of the collector.
          if (!isFailing) onError(error)
          isFailing = true
        },
      )
    return sending
  }

  return {
    send(span) {
      if (waiting.length < maxWaiting) waiting.push(span)
    },
    async close() {
      clearInterval(timer)
      while (waiting.length > 0 && !isFailing) await flush()
      waiting = []
      await sending
    },
  }
}

/** A random id of `size` bytes, in hex. */
export function newId(size: 8 | 16): string {
  return randomBytes(size).toString('hex')
}

/** Parses a `traceparent` header (w3.org/TR/trace-context); `null` when it is missing or invalid. */
export function readTraceParent(header: unknown): { traceId: string; parentId: string; isSampled: boolean } | null {
  if (typeof header !== 'string') return null
  const [, traceId, parentId, flags] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(header) ?? []
  if (!traceId || !parentId || header.startsWith('ff') || /^0+$/.test(traceId) || /^0+$/.test(parentId)) return null
  return { traceId, parentId, isSampled: (Number.parseInt(flags!, 16) & 1) === 1 }
}

const kinds = { server: 2, client: 3 }
const failed = 2

function toOtlp(span: Span) {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentId && { parentSpanId: span.parentId }),
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: nanoseconds(span.startedAt),
    endTimeUnixNano: nanoseconds(span.endedAt),
    attributes: attributesOf(span.attributes),
    ...(span.error !== null && { status: { code: failed, message: span.error } }),
  }
}

/** A string, because nanoseconds since 1970 exceed the safe integers of a number. */
function nanoseconds(ms: number): string {
  return `${Math.floor(ms)}${String(Math.floor((ms % 1) * 1e6)).padStart(6, '0')}`
}

function attributesOf(attributes: Record<string, string | number>) {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { intValue: String(Math.round(value)) } : { stringValue: value },
  }))
}
