import type { FastifyInstance } from 'fastify'
import type { Engine } from './core/engine.ts'
import type { Database } from './db/open.ts'
import { forgetActivity, recordActivity } from './features/activity/activity.ts'
import { activityPlugin } from './features/activity/plugin.ts'
import { adminUploadsPlugin } from './features/admin-uploads/plugin.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { totalsOf } from './telemetry/totals.ts'

export interface AdminOptions {
  database: Database
  engine: Engine
  metrics: Metrics
  objectUrlOf(key: string): string | null
  onError(error: unknown): void
}

/** The admin features of one server: uploads of all owners, and activity. */
export interface Admin {
  /** Registers their routes. */
  register(scope: FastifyInstance): Promise<void>
  /** Jobs to run once a minute. */
  periodicJobs: Record<string, () => Promise<void>>
  close(): Promise<void>
}

/** Opens the admin features and starts to record the activity of this server. */
export function openAdmin({ database, engine, metrics, objectUrlOf, onError }: AdminOptions): Admin {
  const endRecording = recordActivity({ database, read: () => totalsOf(metrics), onError })
  return {
    async register(scope) {
      await scope.register(adminUploadsPlugin, { database, engine, objectUrlOf })
      await scope.register(activityPlugin, { database })
    },
    periodicJobs: { 'forget-activity': () => forgetActivity(database) },
    close: endRecording,
  }
}
