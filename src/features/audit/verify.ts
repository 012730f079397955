import { sql } from 'drizzle-orm'
import type { Database } from '../../db/open.ts'
import { beginning, content, type Head, isSigned, link, run, type Transaction } from './chain.ts'

/** The result of a check of the whole chain. */
interface Verification {
  /** The first problem, as a sentence for an operator; `null`: none. */
  problem: string | null
  /** The last position that is intact. */
  head: Head
  sealed: number
  /** Entries that are not in the chain yet. */
  unsealed: number
}

interface SealRow {
  seq: string
  audit_id: string
  hash: string
  mac: string | null
  content: string | null
}

const atOnce = 5000

/** Checks every sealed entry. @param anchor a position that was kept outside the database and must still be in the chain */
export function verifyAudit(database: Database, secrets: string[], anchor?: Head): Promise<Verification> {
  return database.orm.transaction((tx) => verify(tx, secrets, anchor), {
    isolationLevel: 'repeatable read',
    accessMode: 'read only',
  })
}

async function verify(tx: Transaction, secrets: string[], anchor: Head | undefined): Promise<Verification> {
  const [{ unsealed } = { unsealed: 0 }] = await run<{ unsealed: number }>(
    tx,
    sql`select count(*)::int as unsealed from audit_log a where not exists (select from audit_seals s where s.audit_id = a.id)`,
  )
  const [checkpoint] = await run<{ seq: string; hash: string; mac: string }>(
    tx,
    sql`select seq, hash, mac from audit_checkpoint`,
  )
  let head: Head = checkpoint ? { seq: Number(checkpoint.seq), hash: checkpoint.hash } : beginning
  let sealed = 0
  const end = (problem: string | null): Verification => ({ problem, head, sealed, unsealed })

  if (checkpoint && !isSigned(secrets, 'checkpoint', head, checkpoint.mac))
    return end(`the checkpoint at ${head.seq} is not signed with JWT_SECRET`)
  if (anchor && anchor.seq < head.seq)
    return end(`the anchor ${anchor.seq} is older than AUDIT_RETENTION: use a newer one`)
  let isSealedToEnd = true
  for (;;) {
    if (anchor && anchor.seq === head.seq && anchor.hash !== head.hash)
      return end(`the chain up to ${head.seq} differs from the anchor`)
    const rows = await run<SealRow>(
      tx,
      sql`select s.seq, s.audit_id, s.hash, s.mac, ${content} as content from audit_seals s left join audit_log a on a.id = s.audit_id
        where s.seq > ${head.seq} order by s.seq limit ${atOnce}`,
    )
    for (const row of rows) {
      const seq = head.seq + 1
      if (Number(row.seq) !== seq) return end(`entry ${seq} and its seal were removed: ${row.seq} follows`)
      if (row.content === null || JSON.parse(row.content)[0] === null)
        return end(`entry ${seq} (id ${row.audit_id}) was removed`)
      const next = { seq, hash: link(head.hash, seq, row.content) }
      if (next.hash !== row.hash) return end(`entry ${seq} (id ${row.audit_id}) or its seal was changed`)
      if (row.mac !== null && !isSigned(secrets, 'batch', next, row.mac))
        return end(
          `the seal of entry ${seq} (id ${row.audit_id}) is not signed with JWT_SECRET: an entry up to it was changed`,
        )
      if (anchor?.seq === seq && anchor.hash !== next.hash) return end(`the chain up to ${seq} differs from the anchor`)
      head = next
      sealed += 1
      isSealedToEnd = row.mac !== null
    }
    if (rows.length < atOnce) break
  }
  if (!isSealedToEnd) return end(`the chain ends at ${head.seq} without a signature: later entries were removed`)
  if (anchor && anchor.seq > head.seq)
    return end(`the chain ends at ${head.seq}: entries up to ${anchor.seq} were removed`)
  return end(null)
}
