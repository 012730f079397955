import type { AuditAction, AuditEntry } from '../../core/audit.ts'
import type { Database } from '../../db/open.ts'
import type { Statement } from '../../db/statement.ts'

/** An entry of the audit log: action, actor, address and outcome. */
export interface AuditRecord {
  id: number
  at: Date
  action: AuditAction
  isAllowed: boolean
  actor: string | null
  role: string | null
  tenant: string | null
  keyId: string | null
  uploadId: string | null
  target: string | null
  code: string | null
  rule: string | null
  address: string | null
  agent: string | null
  times: number
  note: string | null
}

/** Filters; a field that is not given does not filter. */
export interface AuditQuery {
  limit: number
  /** Id of the last entry of the previous page. */
  before?: number | undefined
  actor?: string | undefined
  tenant?: string | undefined
  key?: string | undefined
  upload?: string | undefined
  action?: string | undefined
  allowed?: boolean | undefined
  code?: string | undefined
  rule?: string | undefined
  address?: string | undefined
  since?: string | undefined
  until?: string | undefined
}

const write = {
  name: 'audit-write',
  text: `insert into audit_log (action, is_allowed, actor, role, tenant, key_id, upload_id, target, code, rule, address, agent, times, note)
    select * from jsonb_to_recordset($1::jsonb) as e(action text, is_allowed boolean, actor text, role text, tenant text, key_id text, upload_id uuid,
      target text, code text, rule text, address text, agent text, times int, note text)`,
}

/** Appends `entries` to the audit log. */
export async function writeAudit(database: Pick<Database, 'query'>, entries: AuditEntry[]): Promise<void> {
  if (entries.length > 0) await database.query(write, [JSON.stringify(entries.map(toRow))])
}

/** A page of entries, newest first. */
export async function findAudit(database: Database, query: AuditQuery): Promise<AuditRecord[]> {
  const { statement, values } = pageStatement(query)
  const rows = await database.query<Row>(statement, values)
  return rows.map(({ is_allowed, upload_id, key_id, tenant, ...row }) => ({
    ...row,
    keyId: key_id,
    isAllowed: is_allowed,
    uploadId: upload_id,
    tenant: tenant === '' ? null : tenant,
  }))
}

const filterConditions = `($2::text is null or tenant = $2) and ($3::text is null or action = $3) and ($4::boolean is null or is_allowed = $4)
  and ($5::text is null or code = $5) and ($6::text is null or rule = $6) and ($7::text is null or address = $7)
  and ($8::text is null or key_id = $8)`

/** One prepared statement per set of conditions that an index can serve (see the lists in db/uploads). Other conditions filter its rows. */
function pageStatement(query: AuditQuery): { statement: Statement; values: unknown[] } {
  const { limit, before, actor, tenant, key, upload, action, allowed, code, rule, address, since, until } = query
  const filters = [tenant, action, allowed, code, rule, address, key]
  const isFiltered = filters.some((filter) => filter !== undefined)
  const values: unknown[] = [limit, ...(isFiltered ? filters.map((filter) => filter ?? null) : [])]
  const nameParts = ['audit-find', ...(isFiltered ? ['filtered'] : [])]
  const conditions = isFiltered ? [filterConditions] : []
  const when = (name: string, value: unknown, condition: (value: string) => string) => {
    if (value === undefined) return
    nameParts.push(name)
    conditions.push(condition(`$${values.push(value)}`))
  }
  when('upload', upload, (value) => `upload_id = ${value}`)
  when('actor', actor, (value) => `actor = ${value}`)
  when('since', since, (value) => `at >= ${value}::timestamptz`)
  when('until', until, (value) => `at < ${value}::timestamptz`)
  when(
    'before',
    before,
    (value) => `(at, id) < ((select b.at from audit_log b where b.id = ${value}::bigint), ${value}::bigint)`,
  )
  const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`
  const text = `select * from audit_log ${where} order by at desc, id desc limit $1`
  return { statement: { name: nameParts.join('-'), text }, values }
}

interface Row extends Omit<AuditRecord, 'isAllowed' | 'tenant' | 'keyId' | 'uploadId'> {
  is_allowed: boolean
  tenant: string
  key_id: string | null
  upload_id: string | null
}

function toRow({ action, isAllowed, by, uploadId, target, code, rule, times, note }: AuditEntry) {
  return {
    action,
    is_allowed: isAllowed,
    actor: by?.id ?? null,
    role: by?.role ?? null,
    tenant: by?.tenant ?? '',
    key_id: by?.keyId ?? null,
    upload_id: uploadId ?? null,
    target: target ?? null,
    code: code ?? null,
    rule: rule ?? null,
    address: by?.client?.address ?? null,
    agent: by?.client?.agent ?? null,
    times: times ?? 1,
    note: note ?? null,
  }
}
