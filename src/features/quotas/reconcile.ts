/*
 * Usage is kept by the statements that change uploads. Should it ever differ from what is there (a row that was edited, an
 * object that somebody removed from the bucket, a creation that was sent twice while the first one still ran), it is
 * mended here.
 */
import { sql } from 'drizzle-orm'
import type { Usage } from '../../core/policy/quota.ts'
import type { ObjectStore } from '../../core/ports.ts'
import type { Database } from '../../db/open.ts'

/** What usage says, and what the sessions say. */
export interface Drift {
  tenant: string
  user: string
  kept: Counters | null
  actual: Counters
}

export type Counters = Omit<Usage, 'dayBytes' | 'dayFiles' | 'creationsUntil'>

/** What the store has of a file that is complete by its session. */
export interface Looked {
  id: string
  tenant: string
  user: string
  key: string
  size: number
  found: number | null
  /** An earlier look did not find it. */
  wasMissing: boolean
}

// The same expressions of `settleUsage` and `insertSession`, over all sessions at once.
const actual = `
  coalesce(sum(reserved) filter (where state in ('receiving', 'finishing')), 0)::bigint as reserved_bytes,
  coalesce(sum(size) filter (where state = 'completed' and reserved is not null), 0)::bigint as stored_bytes,
  (count(*) filter (where state = 'completed' and concat->>'kind' is distinct from 'partial'))::int as stored_files,
  (count(*) filter (where state in ('receiving', 'finishing')))::int as open_uploads,
  (count(*) filter (where state in ('receiving', 'finishing') and concat->>'kind' is distinct from 'partial'))::int as open_files`
const counters = 'reserved_bytes, stored_bytes, stored_files, open_uploads, open_files'
const of = (table: string) => counters.replaceAll(/\w+/g, (column) => `${table}.${column}`)

const findDrift = {
  name: 'usage-drift',
  text: `with sessions as (select tenant, owner_id, ${actual} from upload_sessions group by tenant, owner_id)
    select coalesce(s.tenant, u.tenant) as tenant, coalesce(s.owner_id, u.owner_id) as owner_id
    from sessions s full join upload_usage u on u.tenant = s.tenant and u.owner_id = s.owner_id
    where (${of('u')}) is distinct from
      (coalesce(s.reserved_bytes, 0), coalesce(s.stored_bytes, 0), coalesce(s.stored_files, 0), coalesce(s.open_uploads, 0), coalesce(s.open_files, 0))
    order by 1, 2`,
}

/**
 * Finds users whose usage is not what their sessions say, and mends it unless `isDry`. Uploads may go on meanwhile: a user's
 * creations wait a moment while their sessions are counted.
 */
export async function reconcile(database: Database, isDry: boolean): Promise<Drift[]> {
  const suspects = await database.query<{ tenant: string; owner_id: string }>(findDrift, [])
  const drifts: Drift[] = []
  for (const { tenant, owner_id } of suspects) {
    const drift = await mend(database, tenant, owner_id, isDry)
    if (drift) drifts.push(drift)
  }
  return drifts
}

/** `null` when there is nothing to mend: what looked like a drift was a change that was just happening. */
function mend(database: Database, tenant: string, user: string, isDry: boolean): Promise<Drift | null> {
  const run = async <T>(tx: Pick<Database['orm'], 'execute'>, query: ReturnType<typeof sql>) =>
    ((await tx.execute(query)) as unknown as { rows: T[] }).rows
  return database.orm.transaction(async (tx) => {
    // A user without a row is given one, so that there is something to lock.
    if (!isDry)
      await run(
        tx,
        sql`insert into upload_usage (tenant, owner_id, ${sql.raw(counters)}, day, day_bytes, day_files, granted)
          values (${tenant}, ${user}, 0, 0, 0, 0, 0, (now() at time zone 'utc')::date, 0, 0, 0) on conflict do nothing`,
      )
    const mine = sql`tenant = ${tenant} and owner_id = ${user}`
    // Whoever creates or ends an upload of the user now waits; a later statement sees what those before have done.
    const [kept] = await run<Row>(tx, sql`select ${sql.raw(counters)} from upload_usage where ${mine} for update`)
    const [truth] = await run<Row>(tx, sql`select ${sql.raw(actual)} from upload_sessions where ${mine}`)
    const drift = { tenant, user, kept: kept ? toCounters(kept) : null, actual: toCounters(truth!) }
    if (JSON.stringify(drift.kept) === JSON.stringify(drift.actual)) return null
    const { reservedBytes, storedBytes, storedFiles, openUploads, openFiles } = drift.actual
    if (!isDry)
      await run(
        tx,
        sql`update upload_usage set reserved_bytes = ${reservedBytes}, stored_bytes = ${storedBytes},
          stored_files = ${storedFiles}, open_uploads = ${openUploads}, open_files = ${openFiles} where ${mine}`,
      )
    return drift
  })
}

const findFiles = {
  name: 'usage-files',
  text: `select id, tenant, owner_id, key, size, loss_seen_at from upload_sessions
    where state = 'completed' and ($1::uuid is null or id > $1) order by id limit $2`,
}
const atOnce = 200
const askedAtOnce = 8

/**
 * Looks into the store for every file that is complete, and tells of those that are not there, have another size, or were missing
 * before. One request to the store a file. That a file is missing is one observation, and ends nothing.
 */
export async function* lookAtFiles(database: Database, store: ObjectStore): AsyncIterable<Looked> {
  let last: string | null = null
  for (;;) {
    const rows: FileRow[] = await database.query<FileRow>(findFiles, [last, atOnce])
    for (let from = 0; from < rows.length; from += askedAtOnce) {
      const asked = rows.slice(from, from + askedAtOnce)
      const found = await Promise.all(asked.map((row) => store.stat(row.key)))
      for (const [n, { owner_id: user, loss_seen_at, ...row }] of asked.entries()) {
        const wasMissing = loss_seen_at !== null
        if (found[n]?.size !== row.size || wasMissing) yield { ...row, user, wasMissing, found: found[n]?.size ?? null }
      }
    }
    if (rows.length < atOnce) return
    last = rows.at(-1)!.id
  }
}

interface FileRow {
  id: string
  tenant: string
  owner_id: string
  key: string
  size: number
  loss_seen_at: Date | null
}

interface Row {
  reserved_bytes: number | string
  stored_bytes: number | string
  stored_files: number
  open_uploads: number
  open_files: number
}

function toCounters(row: Row): Counters {
  return {
    reservedBytes: Number(row.reserved_bytes),
    storedBytes: Number(row.stored_bytes),
    storedFiles: row.stored_files,
    openUploads: row.open_uploads,
    openFiles: row.open_files,
  }
}
