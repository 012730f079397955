import type { AuditAction, AuditEntry } from '../../core/audit.ts'
import type { Database } from '../../db/open.ts'

/** What was asked for, by whom, from where, and how it ended. */
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

/** What to look for; what is not given is not looked at. */
export interface AuditQuery {
  limit: number
  /** The id of the last one seen. */
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
const find = {
  name: 'audit-find',
  text: `select * from audit_log
    where ($2::bigint is null or id < $2) and ($3::text is null or actor = $3) and ($4::text is null or tenant = $4)
      and ($5::uuid is null or upload_id = $5) and ($6::text is null or action = $6) and ($7::boolean is null or is_allowed = $7)
      and ($8::text is null or code = $8) and ($9::text is null or rule = $9) and ($10::text is null or address = $10)
      and ($11::timestamptz is null or at >= $11) and ($12::timestamptz is null or at < $12) and ($13::text is null or key_id = $13)
    order by id desc limit $1`,
}
const forget = {
  name: 'audit-forget',
  // The record lets go of what is old and of nothing else; ids grow with time, so the oldest are found without a search.
  text: `with allowed as materialized (select set_config('landfall.retention', 'on', true)),
    old as (select id from audit_log where at < now() - $1 * interval '1 millisecond' order by id limit $2)
    delete from audit_log using allowed, old where audit_log.id = old.id`,
}
const forgottenAtOnce = 20_000

/** Adds `entries` to the record. */
export async function writeAudit(database: Database, entries: AuditEntry[]): Promise<void> {
  if (entries.length > 0) await database.query(write, [JSON.stringify(entries.map(toRow))])
}

/** The newest first. */
export async function findAudit(database: Database, query: AuditQuery): Promise<AuditRecord[]> {
  const { limit, before, actor, tenant, key, upload, action, allowed, code, rule, address, since, until } = query
  const values = [before, actor, tenant, upload, action, allowed, code, rule, address, since, until, key]
  const rows = await database.query<Row>(find, [limit, ...values.map((value) => value ?? null)])
  return rows.map(({ is_allowed, upload_id, key_id, tenant, ...row }) => ({
    ...row,
    keyId: key_id,
    isAllowed: is_allowed,
    uploadId: upload_id,
    tenant: tenant === '' ? null : tenant,
  }))
}

/** Removes what is older than `keepMs`; 0 keeps everything. A long backlog takes several runs. */
export async function forgetAudit(database: Database, keepMs: number): Promise<void> {
  if (keepMs > 0) await database.query(forget, [keepMs, forgottenAtOnce])
}

interface Row {
  id: number
  at: Date
  action: AuditAction
  is_allowed: boolean
  actor: string | null
  role: string | null
  tenant: string
  key_id: string | null
  upload_id: string | null
  target: string | null
  code: string | null
  rule: string | null
  address: string | null
  agent: string | null
  times: number
  note: string | null
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
    address: by?.from?.address ?? null,
    agent: by?.from?.agent ?? null,
    times: times ?? 1,
    note: note ?? null,
  }
}
