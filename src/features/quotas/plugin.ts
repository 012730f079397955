import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { tenantWithin } from '../../core/access/access.ts'
import { UploadError } from '../../core/errors/error.ts'
import type { Policy } from '../../core/policy/policy.ts'
import type { Quota, Usage } from '../../core/policy/quota.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { listUsage, type OwnerUsage } from './list.ts'

const bytes = z.int().describe('Bytes')
const usage = z.object({
  reservedBytes: bytes.describe('Bytes that unfinished uploads may still become'),
  storedBytes: bytes.describe('Bytes of finished files'),
  storedFiles: z.int(),
  openUploads: z.int().describe('Uploads that are neither complete nor ended in another way'),
  dayBytes: bytes.describe('Bytes sent today (UTC), those that open uploads may still send included'),
  dayFiles: z.int().describe('Files begun today (UTC) that were not given up'),
})
const limit = z.int().nullable().describe('null is no limit')
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
  .describe('null: the role may send nothing')
const mine = usage.extend({ limits })
const everybody = z.object({
  users: z.array(
    usage.extend({
      user: z.string(),
      tenant: z.string().nullable(),
      role: z.string().nullable().describe('Of their newest upload; null: there is none any more'),
      limits,
    }),
  ),
  next: z.string().nullable().describe('Give it as `after` to get the next page; null on the last one'),
})
const query = z.object({
  limit: z.int().min(1).max(200).default(50).describe('How many users'),
  after: z.string().max(1000).optional(),
  tenant: z.string().max(128).optional().describe('Only users of this tenant'),
  user: z.string().max(128).optional().describe('Only this user'),
})

type UsageView = z.output<typeof usage>
export type UsersView = z.output<typeof everybody>

const tags = ['Usage']
const mineSchema = {
  tags,
  summary: 'What I take of the server, and what I may',
  response: { 200: jsonSchema(mine, 'output'), ...errorAnswers },
}
const everybodySchema = {
  tags,
  summary: 'What everybody takes of the server, the largest first',
  querystring: jsonSchema(query, 'input'),
  response: { 200: jsonSchema(everybody, 'output'), ...errorAnswers },
}

export interface UsageOptions {
  usageOf(actor: Actor): Promise<Usage>
  /** `null` for a role that may send nothing. */
  policyOf(actor: Actor): Policy | null
}

/** `GET /usage`: how much of one's room is taken. */
export async function usagePlugin(app: FastifyInstance, { usageOf, policyOf }: UsageOptions): Promise<void> {
  sendNoStore(app)
  app.get('/usage', { schema: mineSchema }, async ({ actor }) => {
    const policy = policyOf(actor)
    return { ...viewOf(await usageOf(actor)), limits: policy && limitsOf(policy) }
  })
}

/** `GET /usage` of all users, or of those of a tenant, for administrators. */
export async function adminUsagePlugin(
  app: FastifyInstance,
  { database, policyOf }: Pick<UsageOptions, 'policyOf'> & { database: Database },
): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)
  app.get<{ Querystring: z.output<typeof query> }>('/usage', { schema: everybodySchema }, async ({ actor, query }) => {
    const { user } = query
    const tenant = tenantWithin(actor, query.tenant)
    const after = readCursor(query.after)
    const find = (limit: number) => listUsage(database, { limit, after, tenant, user })
    const { items, next } = await readPage(query.limit, find, writeCursor)
    return {
      users: items.map(({ user, tenant, role, ...taken }) => {
        const policy = role === null ? null : policyOf(userOf(user, role, { tenant }))
        return { user, tenant, role, ...viewOf(taken), limits: policy && limitsOf(policy) }
      }),
      next,
    }
  })
}

function limitsOf({
  totalBytes,
  totalFiles,
  uploadsAtOnce,
  bytesPerDay,
  filesPerDay,
  creationsPerMinute,
}: Quota): Quota {
  return { totalBytes, totalFiles, uploadsAtOnce, bytesPerDay, filesPerDay, creationsPerMinute }
}

function viewOf({ reservedBytes, storedBytes, storedFiles, openUploads, dayBytes, dayFiles }: Usage): UsageView {
  return { reservedBytes, storedBytes, storedFiles, openUploads, dayBytes, dayFiles }
}

const cursor = z.tuple([z.int(), z.string(), z.string()])

/** Where a page ended, as text that means nothing to anybody else. */
function writeCursor({ reservedBytes, storedBytes, tenant, user }: OwnerUsage): string {
  return Buffer.from(JSON.stringify([reservedBytes + storedBytes, tenant ?? '', user])).toString('base64url')
}

function readCursor(text: string | undefined): z.output<typeof cursor> | undefined {
  if (text === undefined) return undefined
  try {
    return cursor.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
  } catch {
    throw new UploadError('INVALID_REQUEST', 'There is no such page.')
  }
}
