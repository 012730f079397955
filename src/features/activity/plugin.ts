import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Database } from '../../db/open.ts'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { adminOnly } from '../../http/identity/admin.ts'
import { bucketSeconds, findActivity } from './activity.ts'

const query = z.object({
  minutes: z.int().min(1).max(10_080).default(60).describe('Minutes back from now'),
  points: z.int().min(2).max(1000).default(120).describe('Approximate number of points'),
})
const bytes = z.number().describe('Bytes')
const count = z.number()
const activityShape = z.object({
  stepSeconds: z.int().describe('Length of the bucket of one point, in seconds; a multiple of ten'),
  points: z.array(
    z.object({
      at: z.iso.datetime().describe('Start of the bucket; the last bucket is not over yet'),
      receivedBytes: bytes,
      storedBytes: bytes,
      requests: count,
      clientErrors: count.describe('Requests answered with 4xx'),
      serverErrors: count.describe('Requests answered with 5xx'),
      storeErrors: count.describe('Calls to the store that failed after all retries'),
      created: count.describe('Uploads created'),
      completed: count,
      cancelled: count,
      expired: count,
      failed: count,
    }),
  ),
})
export type ActivityView = z.output<typeof activityShape>

const schema = {
  tags: ['Admin'],
  summary: 'Throughput and errors of all servers over time',
  querystring: jsonSchema(query, 'input'),
  response: { 200: jsonSchema(activityShape, 'output'), ...errorAnswers },
}

/** `GET /activity`: throughput and errors over all tenants, for administrators without a tenant. Needs `request.actor`. */
export async function activityPlugin(app: FastifyInstance, { database }: { database: Database }): Promise<void> {
  adminOnly(app)
  sendNoStore(app)
  app.get<{ Querystring: z.output<typeof query> }>('/activity', { schema }, async ({ query }) => {
    const seconds = query.minutes * 60
    const stepSeconds = Math.ceil(seconds / query.points / bucketSeconds) * bucketSeconds
    const points = await findActivity(database, { seconds, step: stepSeconds })
    return { stepSeconds, points: points.map((point) => ({ ...point, at: point.at.toISOString() })) }
  })
}
