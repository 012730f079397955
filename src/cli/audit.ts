import { existingTokenSecrets } from '../app/development.ts'
import type { Config } from '../config.ts'
import type { Head } from '../features/audit/chain.ts'
import { type AuditRecord, findAudit } from '../features/audit/log.ts'
import { verifyAudit } from '../features/audit/verify.ts'
import { withDatabase } from './database-at.ts'
import { printableLine } from './printable.ts'

export interface AuditOptions {
  user?: string
  tenant?: string
  upload?: string
  action?: string
  refused?: boolean
  limit: number
}

/** The newest `limit` entries of the audit log, one line each, oldest first. */
export function auditLines(config: Config, { user, refused, ...filters }: AuditOptions): Promise<string[]> {
  return withDatabase(config, async (database) => {
    const found = await findAudit(database, { ...filters, actor: user, ...(refused && { allowed: false }) })
    return found.toReversed().map(lineOf)
  })
}

/** Verifies the hash chain of the audit log. @returns the result as a line for an operator */
export async function verifyLine(config: Config, anchor?: Head): Promise<{ line: string; isIntact: boolean }> {
  const secrets = await existingTokenSecrets(config)
  const { problem, head, sealed, unsealed } = await withDatabase(config, (database) =>
    verifyAudit(database, secrets, anchor),
  )
  const rest = `${unsealed} ${unsealed === 1 ? 'entry is' : 'entries are'} not sealed yet`
  if (problem !== null) return { line: `the audit log was changed: ${problem}; ${rest}`, isIntact: false }
  return { line: `${sealed} entries are intact, up to ${head.seq}:${head.hash}; ${rest}`, isIntact: true }
}

function lineOf({
  at,
  action,
  actor,
  tenant,
  address,
  uploadId,
  target,
  code,
  rule,
  times,
  note,
}: AuditRecord): string {
  const who = actor === null ? '-' : tenant === null ? actor : `${actor} of ${tenant}`
  const why = code && `${code}${rule ? ` by ${rule}` : ''}`
  const columns = [
    at.toISOString(),
    action,
    who,
    address ?? '-',
    uploadId ?? target,
    why,
    times > 1 && `${times} times`,
    note,
  ]
  return printableLine(columns.filter(Boolean).join('  '))
}
