import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance } from 'fastify'
import { type Exporter, type ExporterOptions, newId, openExporter, readTraceParent, type Span } from './spans.ts'

/** What a call is part of. */
interface Context {
  traceId: string
  spanId: string
}

export interface Tracer {
  /**
   * Runs `work` as a step of the request it belongs to: the one in whose course it is called or, where bytes that come in call
   * it, the one that holds the upload to which `thing` belongs. Of no request: it is not told.
   */
  step<T>(name: string, thing: string | null, work: () => Promise<T>): Promise<T>
  /** Until `release`, what concerns `things` (an upload's id, its key) belongs to the request that runs now. */
  withSpan(things: string[]): { add(thing: string): void; release(): void }
  /** A span for every request of `app`, in the trace that the client names, if it names one. */
  watch(app: FastifyInstance): void
  close(): Promise<void>
}

/** Nobody wants to know. */
export const noTracer: Tracer = {
  step: (_name, _thing, work) => work(),
  withSpan: () => ({ add() {}, release() {} }),
  watch() {},
  async close() {},
}

const epoch = performance.timeOrigin

/** A tracer that sends to a collector. */
export function openTracer(options: ExporterOptions): Tracer {
  const exporter: Exporter = openExporter(options)
  const current = new AsyncLocalStorage<Context>()
  const holders = new Map<string, Context>()

  async function step<T>(name: string, thing: string | null, work: () => Promise<T>): Promise<T> {
    const parent = current.getStore() ?? (thing === null ? undefined : holders.get(thing))
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
    withSpan(things) {
      const context = current.getStore()
      const held = new Set<string>()
      const add = (thing: string) => {
        if (!context) return
        held.add(thing)
        holders.set(thing, context)
      }
      for (const thing of things) add(thing)
      return {
        add,
        release() {
          for (const thing of held) if (holders.get(thing) === context) holders.delete(thing)
        },
      }
    },
    watch(app) {
      const open = new WeakMap<object, Pick<Span, 'traceId' | 'spanId' | 'parentId' | 'startedAt'>>()
      app.addHook('onRequest', (request, _reply, done) => {
        const parent = readTraceParent(request.headers.traceparent)
        if (parent && !parent.isSampled) return done()
        const mine = {
          traceId: parent?.traceId ?? newId(16),
          spanId: newId(8),
          parentId: parent?.parentId ?? null,
          startedAt: epoch + performance.now(),
        }
        open.set(request, mine)
        current.run({ traceId: mine.traceId, spanId: mine.spanId }, done)
      })
      app.addHook('onResponse', async (request, reply) => {
        const mine = open.get(request)
        if (!mine || request.routeOptions.config.isProbe) return
        const { method, routeOptions } = request
        const { id } = (request.params ?? {}) as { id?: string }
        const route = routeOptions.url ?? ''
        exporter.send({
          ...mine,
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
