import type { FastifyInstance } from 'fastify'
import type { Engine } from './core/engine.ts'
import type { Database } from './db/open.ts'
import { forgetActivity, recordActivity } from './features/series/activity.ts'
import { seriesPlugin } from './features/series/plugin.ts'
import { sessionsPlugin } from './features/sessions/plugin.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { totalsOf } from './telemetry/totals.ts'

export interface SteeringOptions {
  database: Database
  engine: Engine
  metrics: Metrics
  objectUrlOf(key: string): string | null
  onFault(error: unknown): void
}

/** What an operator sees and steers, put together for one server. */
export interface Steering {
  /** Everybody's uploads and what the servers did. */
  register(scope: FastifyInstance): Promise<void>
  /** To be done once a minute. */
  chores: Record<string, () => Promise<void>>
  close(): Promise<void>
}

/** Begins to write down what this server does. */
export function openSteering({ database, engine, metrics, objectUrlOf, onFault }: SteeringOptions): Steering {
  const endRecording = recordActivity({ database, read: () => totalsOf(metrics), onFault })
  return {
    async register(scope) {
      await scope.register(sessionsPlugin, { database, engine, objectUrlOf })
      await scope.register(seriesPlugin, { database })
    },
    chores: { 'forget-activity': () => forgetActivity(database) },
    close: endRecording,
  }
}
