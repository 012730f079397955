import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance } from 'fastify'
import { type Exporter, type ExporterOptions, newId, openExporter, readTraceParent, type Span } from './spans.ts'

/** The span to which a call belongs. */
interface Context {
  traceId: string
  spanId: string
}

/** The request that holds an upload, and the resources that belong to it meanwhile. */
interface Holder {
  context: Context
  resources: Set<string>
}

export interface Tracer {
  /**
   * Runs `work` in a span of its request: the request in whose async context it is called or else, where incoming bytes trigger it, the
   * request that holds the upload with `resource`. Outside of a request there is no span.
   * @param resource an upload's id or object key
   */
  step<T>(name: string, resource: string | null, work: () => Promise<T>): Promise<T>
  /** Until `release`, steps on `resources` (an upload's id, its object key) belong to the current request. */
  withSpan(resources: string[]): { release(): void }
  /** Until then, steps on `other` belong to the same request as those on `resource`. */
  addToSpan(resource: string, other: string): void
  /** Creates a span for every request of `app`, in the trace of its `traceparent` header, if it has one. */
  watch(app: FastifyInstance): void
  close(): Promise<void>
}

/** The tracer without a collector. */
export const noTracer: Tracer = {
  step: (_name, _resource, work) => work(),
  withSpan: () => ({ release() {} }),
  addToSpan() {},
  watch() {},
  async close() {},
}

const epoch = performance.timeOrigin

/** A tracer that sends to a collector. */
export function openTracer(options: ExporterOptions): Tracer {
  const exporter: Exporter = openExporter(options)
  const current = new AsyncLocalStorage<Context>()
  const holders = new Map<string, Holder>()

  async function step<T>(name: string, resource: string | null, work: () => Promise<T>): Promise<T> {
    const parent = current.getStore() ?? (resource === null ? undefined : holders.get(resource)?.context)
    if (!parent) return work()
    const startedAt = epoch + performance.now()
    const spanId = newId(8)
    let error: string | null = null
    try {
      return await current.run({ traceId: parent.traceId, spanId }, work)
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.name : 'error'
      throw thrown
    } finally {
      const endedAt = epoch + performance.now()
      const { traceId, spanId: parentId } = parent
      exporter.send({ traceId, spanId, parentId, name, kind: 'client', startedAt, endedAt, attributes: {}, error })
    }
  }

  return {
    step,
    withSpan(resources) {
      const context = current.getStore()
      const holder = context && { context, resources: new Set(resources) }
      if (holder) for (const resource of resources) holders.set(resource, holder)
      return {
        release() {
          for (const resource of holder?.resources ?? []) if (holders.get(resource) === holder) holders.delete(resource)
        },
      }
    },
    addToSpan(resource, other) {
      const holder = holders.get(resource)
      if (!holder) return
      holder.resources.add(other)
      holders.set(other, holder)
    },
    watch(app) {
      const open = new WeakMap<object, Pick<Span, 'traceId' | 'spanId' | 'parentId' | 'startedAt'>>()
      app.addHook('onRequest', (request, _reply, done) => {
        const parent = readTraceParent(request.headers.traceparent)
        if (parent && !parent.isSampled) return done()
        const span = {
          traceId: parent?.traceId ?? newId(16),
          spanId: newId(8),
          parentId: parent?.parentId ?? null,
          startedAt: epoch + performance.now(),
        }
        open.set(request, span)
        current.run({ traceId: span.traceId, spanId: span.spanId }, done)
      })
      app.addHook('onResponse', async (request, reply) => {
        const span = open.get(request)
        if (!span || request.routeOptions.config.isProbe) return
        const { method, routeOptions } = request
        const { id } = (request.params ?? {}) as { id?: string }
        const route = routeOptions.url ?? ''
        exporter.send({
          ...span,
          name: route === '' ? method : `${method} ${route}`,
          kind: 'server',
          endedAt: epoch + performance.now(),
          attributes: {
            'http.request.method': method,
            'http.route': route,
            'http.response.status_code': reply.statusCode,
            'landfall.request.id': request.id,
            ...(id !== undefined && { 'landfall.upload.id': id }),
          },
          error: reply.statusCode >= 500 ? String(reply.statusCode) : null,
        })
      })
    },
    close: () => exporter.close(),
  }
}
