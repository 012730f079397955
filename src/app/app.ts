import type { FastifyInstance, RouteOptions } from 'fastify'
import type { Config } from '../config.ts'
import type { RunningEngine } from '../core/engine.ts'
import { closeConnections } from '../http/connection/closing.ts'
import { metricsServer } from '../telemetry/http.ts'
import type { Peers } from '../telemetry/snapshots.ts'
import type { Overrides as FoundationOverrides } from './foundation.ts'
import { openHttp } from './http.ts'
import { mount } from './mount.ts'
import { registerSite } from './site.ts'

export interface App {
  http: FastifyInstance
  /** The server on METRICS_PORT, if that is set. */
  metricsHttp: FastifyInstance | null
  engine: RunningEngine
  /** The secret that signs bearer tokens. */
  secret: string
  /** Resolves when the background work has started too; rejects when it cannot start. */
  working: Promise<void>
  /** Accepts no new requests, lets running ones save the bytes they received, and closes everything. */
  stop(): Promise<void>
}

export interface Overrides extends FoundationOverrides {
  /** Called for every route, so that a test can check that it covers all of them. */
  onRoute?: (route: RouteOptions) => void
  /** The other workers of this server, if it has several. */
  peers?: Peers | undefined
}

/** Assembles a server of its own: the uploads, the pages, and the metrics. When it resolves, it is ready to listen. */
export async function buildApp(config: Config, { onRoute, ...overrides }: Overrides = {}): Promise<App> {
  const http = openHttp(config)
  if (onRoute) http.addHook('onRoute', onRoute)
  const mounted = await mount(http, config, {
    ...overrides,
    addRoutes: (opened) => registerSite(http, config, opened),
  })
  const { engine, secret, working, guard, drain, metricsRoute } = mounted
  const metricsHttp = config.METRICS_PORT === undefined ? null : await openMetrics()

  /** With the same limits as PORT: any client may reach this port too. */
  async function openMetrics(): Promise<FastifyInstance> {
    const server = openHttp(config)
    guard(server)
    http.addHook('onClose', () => server.close())
    return metricsServer(server, metricsRoute)
  }

  return {
    http,
    metricsHttp,
    engine,
    secret,
    working,
    async stop() {
      drain()
      await closeConnections(http)
    },
  }
}
