import type { Config } from '../config.ts'
import { existingTokenSecrets } from '../development.ts'
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

/** The newest lines of the record that fit, in the order in which they were written. */
export function auditLines(config: Config, { user, refused, ...words }: AuditOptions): Promise<string[]> {
  return withDatabase(config, async (database) => {
    const found = await findAudit(database, { ...words, actor: user, ...(refused && { allowed: false }) })
    return found.toReversed().map(lineOf)
  })
}

/** Whether every sealed entry is as it was sealed, for people. */
export async function auditVerdict(config: Config, anchor?: Head): Promise<{ line: string; isSound: boolean }> {
  const secrets = await existingTokenSecrets(config)
  const { fault, head, sealed, unsealed } = await withDatabase(config, (database) =>
    verifyAudit(database, secrets, anchor),
  )
  const rest = `${unsealed} ${unsealed === 1 ? 'entry is' : 'entries are'} not sealed yet`
  if (fault !== null) return { line: `the audit log was changed: ${fault}; ${rest}`, isSound: false }
  return { line: `${sealed} entries are as they were sealed, up to ${head.seq}:${head.hash}; ${rest}`, isSound: true }
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
  const words = [
    at.toISOString(),
    action,
    who,
    address ?? '-',
    uploadId ?? target,
    why,
    times > 1 && `${times} times`,
    note,
  ]
  return printableLine(words.filter(Boolean).join('  '))
}
