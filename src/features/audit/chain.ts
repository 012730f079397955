/*
 * A hash chain over the audit log, so that a change by the owner of the database is detected. Entries are inserted unsealed. A sealer then
 * gives each of them a sequence number and a hash over the previous hash, the number and the entry. The end of every batch is signed
 * with a key derived from JWT_SECRET: without the secret a changed chain cannot be forged.
 *
 * An advisory lock allows one sealer over all servers: two would give the same number to two entries. Postgres assigns ids before
 * commit, so an entry may become visible below ids that are sealed already: the sealer looks back over more ids than transactions are
 * ever open.
 */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { type SQL, sql } from 'drizzle-orm'
import type { Database } from '../../db/open.ts'

/** A position in the chain. `seq` starts at 1; 0 is before the first entry. */
export interface Head {
  seq: number
  hash: string
}

export type Transaction = Pick<Database['orm'], 'execute'>

export const beginning: Head = { seq: 0, hash: '' }

/** The SQL of entry `a` as it is hashed: every column, in a form that no setting of the connection changes. */
export const content =
  sql.raw(`jsonb_build_array(a.id, round(extract(epoch from a.at) * 1000000)::bigint, a.action, a.is_allowed, a.actor,
  a.role, a.tenant, a.key_id, a.upload_id, a.target, a.code, a.rule, a.address, a.agent, a.times, a.note)::text`)

// Arbitrary, but the same on every server.
const chainLock = 7_203_117
const lookBack = 10_000
const sealBatch = 1000
const retentionBatch = 20_000

/** Runs `query` in `tx`. */
export async function run<T>(tx: Transaction, query: SQL): Promise<T[]> {
  return ((await tx.execute(query)) as unknown as { rows: T[] }).rows
}

/** The hash of the chain after `entry`, which has number `seq`. */
export function link(previous: string, seq: number, entry: string): string {
  return createHash('sha256').update(`${previous}\n${seq}\n${entry}`).digest('hex')
}

/** Signs a position: the end of a batch, or the checkpoint that retention leaves. */
function sign(secret: string, what: 'batch' | 'checkpoint', { seq, hash }: Head): string {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'landfall audit chain v1', 32))
  return createHmac('sha256', key).update(`${what}\n${seq}\n${hash}`).digest('hex')
}

/** Whether `mac` is the signature of `head` under one of `secrets`. */
export function isSigned(secrets: string[], what: 'batch' | 'checkpoint', head: Head, mac: string): boolean {
  return secrets.some((secret) => {
    const real = Buffer.from(sign(secret, what, head))
    const given = Buffer.from(mac)
    return real.length === given.length && timingSafeEqual(real, given)
  })
}

/** Seals all unsealed entries. @returns the end of the chain */
export async function sealAudit(database: Database, secret: string, batchSize = sealBatch): Promise<Head> {
  for (;;) {
    const { sealed, head } = await database.orm.transaction((tx) => sealSome(tx, secret, batchSize))
    if (sealed < batchSize) return head
  }
}

async function sealSome(tx: Transaction, secret: string, batchSize: number): Promise<{ sealed: number; head: Head }> {
  await run(tx, sql`select pg_advisory_xact_lock(${chainLock})`)
  let head = await lastPosition(tx)
  const entries = await run<{ id: string; content: string }>(
    tx,
    sql`select a.id, ${content} as content from audit_log a
      where a.id > coalesce((select max(audit_id) from audit_seals), 0) - ${lookBack}::bigint
        and not exists (select from audit_seals s where s.audit_id = a.id) order by a.id limit ${batchSize}`,
  )
  const seals = entries.map((entry, at) => {
    const seq = head.seq + 1
    head = { seq, hash: link(head.hash, seq, entry.content) }
    const isLast = at === entries.length - 1
    return { ...head, audit_id: Number(entry.id), mac: isLast ? sign(secret, 'batch', head) : null }
  })
  if (seals.length > 0)
    await run(
      tx,
      sql`insert into audit_seals (seq, audit_id, hash, mac)
        select * from jsonb_to_recordset(${JSON.stringify(seals)}::jsonb) as s(seq bigint, audit_id bigint, hash text, mac text)`,
    )
  return { sealed: seals.length, head }
}

async function lastPosition(tx: Transaction): Promise<Head> {
  const [last] = await run<{ seq: string; hash: string }>(
    tx,
    sql`select seq, hash from ((select seq, hash from audit_seals order by seq desc limit 1)
      union all select seq, hash from audit_checkpoint) ends order by seq desc limit 1`,
  )
  return last ? { seq: Number(last.seq), hash: last.hash } : beginning
}

/**
 * Removes entries older than `keepMs` from the start of the chain and signs a checkpoint where the chain starts now; 0 keeps all. A
 * long backlog takes several runs. Unsealed entries stay.
 */
export async function forgetAudit(database: Database, secret: string, keepMs: number): Promise<void> {
  if (keepMs <= 0) return
  await sealAudit(database, secret)
  await database.orm.transaction(async (tx) => {
    await run(tx, sql`select pg_advisory_xact_lock(${chainLock})`)
    const [cut] = await run<{ seq: string; hash: string }>(
      tx,
      sql`with page as (select s.seq, s.hash, a.at from audit_seals s left join audit_log a on a.id = s.audit_id
          order by s.seq limit ${retentionBatch})
        select seq, hash from page where seq < coalesce(
          (select min(seq) from page where at >= now() - ${keepMs}::float8 * interval '1 millisecond'), (select max(seq) + 1 from page))
        order by seq desc limit 1`,
    )
    if (!cut) return
    const head = { seq: Number(cut.seq), hash: cut.hash }
    await run(
      tx,
      sql`insert into audit_checkpoint ("only", seq, hash, mac) values (1, ${head.seq}, ${head.hash}, ${sign(secret, 'checkpoint', head)})
        on conflict ("only") do update set seq = excluded.seq, hash = excluded.hash, mac = excluded.mac`,
    )
    await run(tx, sql`select set_config('landfall.retention', 'on', true)`)
    await run(tx, sql`delete from audit_log a using audit_seals s where s.audit_id = a.id and s.seq <= ${head.seq}`)
    await run(tx, sql`delete from audit_seals where seq <= ${head.seq}`)
  })
}
