import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import {
  type AllUsage,
  type AllUsageQuery,
  allUsage,
  allUsageQuery,
  ownUsage,
  type Usage as UsageView,
} from '../../contract/usage.ts'
import { tenantWithin } from '../../core/access/access.ts'
import { errors } from '../../core/errors/errors.ts'
import type { Policy } from '../../core/policy/policy.ts'
import type { Quota, Usage } from '../../core/policy/quota.ts'
import { type Actor, userOf } from '../../core/upload.ts'
import type { Database } from '../../db/open.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { listUsage, type OwnerUsage } from './list.ts'

const tags = ['Usage']
const ownSchema = {
  tags,
  summary: 'My usage and my limits',
  response: { 200: jsonSchema(ownUsage, 'output') },
}
const allSchema = {
  tags,
  summary: 'The usage of all users, largest first',
  querystring: jsonSchema(allUsageQuery, 'input'),
  response: { 200: jsonSchema(allUsage, 'output') },
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
  app.get<{ Querystring: AllUsageQuery }>(
    '/usage',
    { schema: allSchema },
    async ({ actor, query }): Promise<AllUsage> => {
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
    },
  )
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
