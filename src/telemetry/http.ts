import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { UploadError } from '../core/errors/error.ts'
import { errors } from '../core/errors/errors.ts'
import type { Metrics } from './metrics.ts'
import { type Peers, snapshotOf, textOfAll } from './snapshots.ts'

/** Measures the duration of every request of `app`. */
export function watchRequests(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request
    const labels = { method: methodLabel(method), route: routeOptions.url ?? 'none', status: String(reply.statusCode) }
    metrics.requestSeconds.observe(labels, reply.elapsedTime / 1000)
  })
}

/** Returns a listener that counts every error a request is answered with, in any protocol. */
export function countErrors(metrics: Metrics): (error: UploadError) => void {
  return ({ code, facts }) => metrics.errors.inc({ code, rule: ruleLabel(facts.rule) })
}

// Clients may send any word as a method, which must not become a label.
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

function methodLabel(method: string): string {
  return methods.has(method) ? method : 'other'
}

/** `facts.rule` if it is a name, else empty. */
function ruleLabel(rule: unknown): string {
  return typeof rule === 'string' && /^[\w.-]{1,64}$/.test(rule) ? rule : ''
}

export interface MetricsRoute {
  metrics: Metrics
  /** Updates the gauges that are not counted as they change. */
  refresh(): Promise<void>
  /** The other workers of this server, if it has several. */
  peers: Peers | undefined
  /** Whether a request may read the metrics; `null`: every request. */
  mayRead: ((request: FastifyRequest) => boolean) | null
}

/** `GET /metrics` in Prometheus' text format. A request that may not read it is answered with 404. */
export async function metricsPlugin(
  app: FastifyInstance,
  { metrics, refresh, peers, mayRead }: MetricsRoute,
): Promise<void> {
  async function text(): Promise<string> {
    if (!peers) return metrics.registry.metrics()
    const own = await snapshotOf(metrics)
    return textOfAll(own, await peers.collect(own))
  }

  app.get('/metrics', { config: { isProbe: true } }, async (request, reply) => {
    if (mayRead && !mayRead(request)) throw errors.notFound()
    await refresh()
    return reply
      .header('cache-control', 'no-store')
      .type(metrics.registry.contentType)
      .send(await text())
  })
}

/** Registers `/metrics` on `server`, open to every client that can reach its port. Does not listen. */
export async function metricsServer(
  server: FastifyInstance,
  route: Omit<MetricsRoute, 'mayRead'>,
): Promise<FastifyInstance> {
  await server.register(metricsPlugin, { ...route, mayRead: null })
  return server
}
