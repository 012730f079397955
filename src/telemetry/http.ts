import type { FastifyInstance, FastifyRequest } from 'fastify'
import { UploadError } from '../core/errors/error.ts'
import type { Metrics } from './metrics.ts'

/** Times every request of `app`. */
export function watchRequests(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request
    const labels = { method: known(method), route: routeOptions.url ?? 'none', status: String(reply.statusCode) }
    metrics.requestSeconds.observe(labels, reply.elapsedTime / 1000)
  })
}

/** Counts what listens to refusals is told, in whatever protocol they are answered. */
export function countErrors(metrics: Metrics): (error: UploadError) => void {
  return ({ code, facts }) => metrics.refusals.inc({ code, rule: nameOf(facts.rule) })
}

// Anybody may send any word for a method.
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

function known(method: string): string {
  return methods.has(method) ? method : 'other'
}

/** A rule that has a name says it in `facts.rule`. */
function nameOf(rule: unknown): string {
  return typeof rule === 'string' && /^[\w.-]{1,64}$/.test(rule) ? rule : ''
}

export interface MetricsRoute {
  metrics: Metrics
  /** Brings figures up to date that are not counted as they happen. */
  refresh(): Promise<void>
  /** Who may read them: `null` is everybody who reaches this address. */
  mayRead: ((request: FastifyRequest) => boolean) | null
}

/** `GET /metrics` in Prometheus' text format. Who may not read it is told that there is nothing. */
export async function metricsPlugin(app: FastifyInstance, { metrics, refresh, mayRead }: MetricsRoute): Promise<void> {
  app.get('/metrics', { config: { isProbe: true } }, async (request, reply) => {
    if (mayRead && !mayRead(request)) throw new UploadError('NOT_FOUND', 'There is nothing here.')
    await refresh()
    return reply
      .header('cache-control', 'no-store')
      .type(metrics.registry.contentType)
      .send(await metrics.registry.metrics())
  })
}

/** Makes `server` one for `/metrics` alone, open to every client that reaches its port; not listening yet. */
export async function metricsServer(
  server: FastifyInstance,
  route: Omit<MetricsRoute, 'mayRead'>,
): Promise<FastifyInstance> {
  await server.register(metricsPlugin, { ...route, mayRead: null })
  return server
}
