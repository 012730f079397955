import { z } from 'zod'

export const activityQuery = z.object({
  minutes: z.int().min(1).max(10_080).default(60).describe('Minutes back from now'),
  points: z.int().min(2).max(1000).default(120).describe('Approximate number of points'),
})

const bytes = z.number().describe('Bytes')
const count = z.number()

const point = z.object({
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
})

/** Activity of all servers together. */
export const activity = z.object({
  stepSeconds: z.int().describe('Length of the bucket of one point, in seconds; a multiple of ten'),
  points: z.array(point),
})

export type ActivityQuery = z.output<typeof activityQuery>
export type Point = z.output<typeof point>
export type Activity = z.output<typeof activity>
