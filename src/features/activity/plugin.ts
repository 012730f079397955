import type { FastifyInstance } from 'fastify'
import { type Activity, type ActivityQuery, activity, activityQuery } from '../../contract/activity.ts'
import type { Database } from '../../db/open.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { adminOnly } from '../../http/identity/admin.ts'
import { bucketSeconds, findActivity } from './activity.ts'

const schema = {
  tags: ['Admin'],
  summary: 'Throughput and errors of all servers over time',
  querystring: jsonSchema(activityQuery, 'input'),
  response: { 200: jsonSchema(activity, 'output') },
}

/** `GET /activity`: throughput and errors over all tenants, for administrators without a tenant. Needs `request.actor`. */
export async function activityPlugin(app: FastifyInstance, { database }: { database: Database }): Promise<void> {
  adminOnly(app)
  sendNoStore(app)
  app.get<{ Querystring: ActivityQuery }>('/activity', { schema }, async ({ query }): Promise<Activity> => {
    const seconds = query.minutes * 60
    const stepSeconds = Math.ceil(seconds / query.points / bucketSeconds) * bucketSeconds
    const points = await findActivity(database, { seconds, step: stepSeconds })
    return { stepSeconds, points: points.map((point) => ({ ...point, at: point.at.toISOString() })) }
  })
}
