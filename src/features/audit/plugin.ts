import type { FastifyInstance } from 'fastify'
import { type AuditEntries, type AuditEntry, type AuditQuery, auditEntries, auditQuery } from '../../contract/audit.ts'
import { tenantWithin } from '../../core/access/access.ts'
import type { Database } from '../../db/open.ts'
import { jsonSchema } from '../../http/api/json-schema.ts'
import { sendNoStore } from '../../http/api/no-store.ts'
import { readPage } from '../../http/api/page.ts'
import { parseTime } from '../../http/api/time.ts'
import { tenantAdminsToo } from '../../http/identity/admin.ts'
import { type AuditRecord, findAudit } from './log.ts'

const schema = {
  tags: ['Audit'],
  summary: 'The audit log: who did what from where, and which requests were refused by which rule; newest first',
  querystring: jsonSchema(auditQuery, 'input'),
  response: { 200: jsonSchema(auditEntries, 'output') },
}

/** `GET /audit`: the audit log, for administrators. Those of a tenant see the entries of its users. */
export async function auditPlugin(app: FastifyInstance, { database }: { database: Database }): Promise<void> {
  tenantAdminsToo(app)
  sendNoStore(app)
  app.get<{ Querystring: AuditQuery }>('/audit', { schema }, async ({ actor, query }): Promise<AuditEntries> => {
    const tenant = tenantWithin(actor, query.tenant)
    const when = { since: parseTime(query.since), until: parseTime(query.until) }
    const find = (limit: number) => findAudit(database, { ...query, ...when, tenant, limit })
    const { items, next } = await readPage(query.limit, find, ({ id }) => id)
    return { entries: items.map(viewOf), next }
  })
}

function viewOf({ at, isAllowed, uploadId, keyId, ...record }: AuditRecord): AuditEntry {
  return { ...record, at: at.toISOString(), allowed: isAllowed, upload: uploadId, key: keyId }
}
