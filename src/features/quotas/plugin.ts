import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { tenantWithin } from '../../core/access/access.ts'
import { errors } from '../../core/errors/errors.ts'
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
const ownUsage = usage.extend({ limits })
const allUsage = z.object({
  users: z.array(
    usage.extend({
      user: z.string(),
      tenant: z.string().nullable(),
      role: z.string().nullable().describe('The role of their newest upload; null: no uploads left'),
      limits,
    }),
  ),
  next: z.string().nullable().describe('Pass it as `after` to get the next page; null on the last page'),
})
const query = z.object({
  limit: z.int().min(1).max(200).default(50).describe('Users per page'),
  after: z.string().max(1000).optional(),
  tenant: z.string().max(128).optional().describe('Only users of this tenant'),
  user: z.string().max(128).optional().describe('Only this user'),
})

type UsageView = z.output<typeof usage>
export type UsersView = z.output<typeof allUsage>

const tags = ['Usage']
const ownSchema = {
  tags,
  summary: 'My usage and my limits',
  response: { 200: jsonSchema(ownUsage, 'output'), ...errorAnswers },
}
const allSchema = {
  tags,
  summary: 'The usage of all users, largest first',
  querystring: jsonSchema(query, 'input'),
  response: { 200: jsonSchema(allUsage, 'output'), ...errorAnswers },
}

export interface UsageOptions {
  usageOf(actor: Actor): Promise<Usage>
  /** `null` for a role that may not upload. */
  policyOf(actor: Actor): Policy | null
}

/** `GET /usage`: the usage and limits of the client. */
export async function usagePlugin(app: FastifyInstance, { usageOf, policyOf }: UsageOptions): Promise<void> {
  sendNoStore(app)
  app.get('/usage', { schema: ownSchema }, async ({ actor }) => {
    const policy = policyOf(actor)
    return { ...viewOf(await usageOf(actor)), limits: policy && limitsOf(policy) }
  })
}

/** `GET /usage` for administrators: the usage of all users, or of those of their tenant. */
export async function adminUsagePlugin(
  app: FastifyInstance,
  { database, policyOf }: Pick<UsageOptions, 'policyOf'> & { database: Database },
): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)
  app.get<{ Querystring: z.output<typeof query> }>('/usage', { schema: allSchema }, async ({ actor, query }) => {
    const { user } = query
    const tenant = tenantWithin(actor, query.tenant)
    const after = readCursor(query.after)
    const find = (limit: number) => listUsage(database, { limit, after, tenant, user })
    const { items, next } = await readPage(query.limit, find, writeCursor)
    return {
      users: items.map(({ user, tenant, role, ...usage }) => {
        const policy = role === null ? null : policyOf(userOf(user, role, { tenant }))
        return { user, tenant, role, ...viewOf(usage), limits: policy && limitsOf(policy) }
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

/** The end of a page, as an opaque cursor. */
function writeCursor({ reservedBytes, storedBytes, tenant, user }: OwnerUsage): string {
  return Buffer.from(JSON.stringify([reservedBytes + storedBytes, tenant ?? '', user])).toString('base64url')
}

function readCursor(text: string | undefined): z.output<typeof cursor> | undefined {
  if (text === undefined) return undefined
  try {
    return cursor.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
  } catch {
    throw errors.cursorInvalid()
  }
}
