import { z } from 'zod'

const bytes = z.int().describe('Bytes')

const usage = z.object({
  reservedBytes: bytes.describe('Bytes reserved by unfinished uploads'),
  storedBytes: bytes.describe('Bytes of completed files'),
  storedFiles: z.int(),
  openUploads: z.int().describe('Uploads that have not ended'),
  dayBytes: bytes.describe('Bytes sent today (UTC), including those that open uploads may still send'),
  dayFiles: z.int().describe('Files started today (UTC), without cancelled, expired and failed ones'),
})

const limit = z.int().nullable().describe('null: no limit')
const limits = z
  .object({
    totalBytes: limit,
    totalFiles: limit,
    uploadsAtOnce: limit,
    bytesPerDay: limit,
    filesPerDay: limit,
    creationsPerMinute: limit,
  })
  .nullable()
  .describe('null: the role may not upload')

export const ownUsage = usage.extend({ limits })

const userUsage = usage.extend({
  user: z.string(),
  tenant: z.string().nullable(),
  role: z.string().nullable().describe('The role of their newest upload; null: no uploads left'),
  limits,
})

export const allUsage = z.object({
  users: z.array(userUsage),
  next: z.string().nullable().describe('Pass it as `after` to get the next page; null on the last page'),
})

export const allUsageQuery = z.object({
  limit: z.int().min(1).max(200).default(50).describe('Users per page'),
  after: z.string().max(1000).optional(),
  tenant: z.string().max(128).optional().describe('Only users of this tenant'),
  user: z.string().max(128).optional().describe('Only this user'),
})

export type Usage = z.output<typeof usage>
export type UserUsage = z.output<typeof userUsage>
export type AllUsage = z.output<typeof allUsage>
export type AllUsageQuery = z.output<typeof allUsageQuery>
