import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Database } from '../../db/open.ts'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { adminOnly } from '../../http/identity/admin.ts'
import { bucketSeconds, findActivity } from './activity.ts'

const query = z.object({
  minutes: z.int().min(1).max(10_080).default(60).describe('How far back'),
  points: z.int().min(2).max(1000).default(120).describe('About how many points'),
})
const bytes = z.number().describe('Bytes')
const count = z.number()
const activityShape = z.object({
  stepSeconds: z.int().describe('How long the stretch of time of one point is; a multiple of ten'),
  points: z.array(
    z.object({
      at: z.iso.datetime().describe('When its stretch of time begins; the last one is not over yet'),
      receivedBytes: bytes,
      storedBytes: bytes,
      requests: count,
      refusals: count.describe('Requests that were answered with 4xx'),
      failures: count.describe('Requests that were answered with 5xx'),
      storeErrors: count.describe('Calls to the store that failed for good'),
      begun: count.describe('Uploads begun'),
      completed: count,
      cancelled: count,
      expired: count,
      failed: count,
    }),
  ),
})
export type ActivityView = z.output<typeof activityShape>

const schema = {
  tags: ['Steering'],
  summary: 'What all servers together did, over time: throughput and errors',
  querystring: jsonSchema(query, 'input'),
  response: { 200: jsonSchema(activityShape, 'output'), ...errorAnswers },
}

/** `GET /series`: throughput and errors of all tenants together, for administrators without a tenant. Wants `request.actor`. */
export async function activityPlugin(app: FastifyInstance, { database }: { database: Database }): Promise<void> {
  adminOnly(app)
  sendNoStore(app)
  app.get<{ Querystring: z.output<typeof query> }>('/series', { schema }, async ({ query }) => {
    const seconds = query.minutes * 60
    const stepSeconds = Math.ceil(seconds / query.points / bucketSeconds) * bucketSeconds
    const points = await findActivity(database, { seconds, step: stepSeconds })
    return { stepSeconds, points: points.map((point) => ({ ...point, at: point.at.toISOString() })) }
  })
}
