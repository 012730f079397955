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
  limit: z.int().min(1).max(500).default(100).describe('How many entries'),
  before: z.int().optional().describe('The id of the last entry that was seen'),
  actor: text.describe('Who did it'),
  tenant: text,
  key: text.describe('What was done with this API key'),
  upload: z.uuid().optional().describe('Entries about this upload'),
  action: text.describe(
    'upload.create, upload.complete, upload.cancel, upload.expire, upload.fail, request.refuse, policy.change, …',
  ),
  allowed: z.boolean().optional(),
  code: text.describe('Refusals with this code'),
  rule: text.describe('Refusals by this rule'),
  address: text.describe('From where it was asked'),
  since: z.iso.datetime({ offset: true }).optional(),
  until: z.iso.datetime({ offset: true }).optional(),
})
const entry = z.object({
  id: z.int(),
  at: z.iso.datetime(),
  action: z.string(),
  allowed: z.boolean(),
  actor: z.string().nullable().describe('null: the server itself, or nobody knows who'),
  role: z.string().nullable(),
  tenant: z.string().nullable(),
  key: z.string().nullable().describe('The API key it was done with'),
  upload: z.string().nullable(),
  target: z.string().nullable().describe('What else it was done to: a version of the policies, a key'),
  code: z.string().nullable(),
  rule: z.string().nullable().describe('The rule that refused'),
  address: z.string().nullable(),
  agent: z.string().nullable().describe('What the client says it is'),
  times: z.int().describe('How often the same was refused within a few seconds'),
  note: z.string().nullable(),
})
const page = z.object({
  entries: z.array(entry),
  next: z.int().nullable().describe('Give it as `before` to get the next page; null on the last one'),
})
export type EntryView = z.output<typeof entry>

const schema = {
  tags: ['Audit'],
  summary: 'Who did what, from where, and who was refused by which rule, the newest first',
  querystring: jsonSchema(query, 'input'),
  response: { 200: jsonSchema(page, 'output'), ...errorAnswers },
}

/** `GET /audit`: the audit log, for administrators; those of a tenant see what its users did. */
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
