import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { tenantWithin } from '../../core/access/access.ts'
import type { Database } from '../../db/open.ts'
import { errorAnswers, jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { parseTime } from '../../http/api/time.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { type AuditRecord, findAudit } from './log.ts'

const text = z.string().max(256).optional()
const query = z.object({
  limit: z.int().min(1).max(500).default(100).describe('Entries per page'),
  before: z.int().optional().describe('The id of the last entry of the previous page'),
  actor: text.describe('Only entries of this user'),
  tenant: text,
  key: text.describe('Only entries of this API key'),
  upload: z.uuid().optional().describe('Only entries about this upload'),
  action: text.describe(
    'upload.create, upload.complete, upload.cancel, upload.expire, upload.fail, request.refuse, policy.change, …',
  ),
  allowed: z.boolean().optional(),
  code: text.describe('Only refused requests with this error code'),
  rule: text.describe('Only requests that this rule refused'),
  address: text.describe('Only requests from this address'),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
})
const entry = z.object({
  id: z.int(),
  at: z.iso.datetime(),
  action: z.string(),
  allowed: z.boolean(),
  actor: z.string().nullable().describe('null: the server itself, or an unknown client'),
  role: z.string().nullable(),
  tenant: z.string().nullable(),
  key: z.string().nullable().describe('The API key that was used'),
  upload: z.string().nullable(),
  target: z.string().nullable().describe('What else the action changed: a version of the policies, an API key'),
  code: z.string().nullable(),
  rule: z.string().nullable().describe('The rule that refused the request'),
  address: z.string().nullable(),
  agent: z.string().nullable().describe('The User-Agent of the client'),
  times: z.int().describe('How often the same request was refused within a few seconds'),
  note: z.string().nullable(),
})
const page = z.object({
  entries: z.array(entry),
  next: z.int().nullable().describe('Pass it as `before` to get the next page; null on the last page'),
})
export type EntryView = z.output<typeof entry>

const schema = {
  tags: ['Audit'],
  summary: 'The audit log: who did what from where, and which requests were refused by which rule; newest first',
  querystring: jsonSchema(query, 'input'),
  response: { 200: jsonSchema(page, 'output'), ...errorAnswers },
}

/** `GET /audit`: the audit log, for administrators. Those of a tenant see the entries of its users. */
export async function auditPlugin(app: FastifyInstance, { database }: { database: Database }): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)
  app.get<{ Querystring: z.output<typeof query> }>('/audit', { schema }, async ({ actor, query }) => {
    const tenant = tenantWithin(actor, query.tenant)
    const when = { since: parseTime(query.since), until: parseTime(query.until) }
    const find = (limit: number) => findAudit(database, { ...query, ...when, tenant, limit })
    const { items, next } = await readPage(query.limit, find, ({ id }) => id)
    return { entries: items.map(viewOf), next }
  })
}

function viewOf({ at, isAllowed, uploadId, keyId, ...record }: AuditRecord): EntryView {
  return { ...record, at: at.toISOString(), allowed: isAllowed, upload: uploadId, key: keyId }
}
