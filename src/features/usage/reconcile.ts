/*
 * The statements that change uploads also keep the usage counters. This corrects counters that differ from the uploads: after a row
 * was edited by hand, an object was removed from the bucket, or a creation ran twice because it was sent again.
 */
import { sql } from 'drizzle-orm'
import type { Usage } from '../../core/policy/quota.ts'
import type { ObjectStore } from '../../core/ports/object-store.ts'
import type { Database } from '../../db/open.ts'

/** The counters of a user, and what the user's uploads add up to. */
export interface Drift {
  tenant: string
  user: string
  recorded: Counters | null
  actual: Counters
}

export type Counters = Omit<Usage, 'dayBytes' | 'dayFiles' | 'creationsUntil'>

/** The object of a completed upload, as the store reports it. */
export interface FileCheck {
  id: string
  tenant: string
  user: string
  key: string
  size: number
  /** Bytes; `null`: the store has no such object. */
  found: number | null
  /** An earlier check did not find the object. */
  wasMissing: boolean
}

// The expressions of the statements in db/uploads, over all uploads of a user at once.
const actual = `
  coalesce(sum(reserved) filter (where state in ('receiving', 'finishing')), 0)::bigint as reserved_bytes,
  coalesce(sum(size) filter (where state = 'completed' and reserved is not null), 0)::bigint as stored_bytes,
  (count(*) filter (where state = 'completed' and not is_partial))::int as stored_files,
  (count(*) filter (where state in ('receiving', 'finishing')))::int as open_uploads,
  (count(*) filter (where state in ('receiving', 'finishing') and not is_partial))::int as open_files`
const counters = 'reserved_bytes, stored_bytes, stored_files, open_uploads, open_files'
const of = (table: string) => counters.replaceAll(/\w+/g, (column) => `${table}.${column}`)

const findDrift = {
  name: 'usage-drift',
  text: `with sums as (select tenant, owner_id, ${actual} from upload_sessions group by tenant, owner_id)
    select coalesce(s.tenant, u.tenant) as tenant, coalesce(s.owner_id, u.owner_id) as owner_id
    from sums s full join upload_usage u on u.tenant = s.tenant and u.owner_id = s.owner_id
    where (${of('u')}) is distinct from
      (coalesce(s.reserved_bytes, 0), coalesce(s.stored_bytes, 0), coalesce(s.stored_files, 0), coalesce(s.open_uploads, 0), coalesce(s.open_files, 0))
    order by 1, 2`,
}

/**
 * Finds users whose counters differ from their uploads, and corrects them unless `isDry`. Safe while the server runs: the creations of
 * a user wait while that user's uploads are counted.
 */
export async function reconcile(database: Database, isDry: boolean): Promise<Drift[]> {
  const owners = await database.query<{ tenant: string; owner_id: string }>(findDrift, [])
  const drifts: Drift[] = []
  for (const { tenant, owner_id } of owners) {
    const drift = await correct(database, tenant, owner_id, isDry)
    if (drift) drifts.push(drift)
  }
  return drifts
}

/** `null` when there is nothing to correct: the difference was a change in progress. */
function correct(database: Database, tenant: string, user: string, isDry: boolean): Promise<Drift | null> {
  const run = async <T>(tx: Pick<Database['orm'], 'execute'>, query: ReturnType<typeof sql>) =>
    ((await tx.execute(query)) as unknown as { rows: T[] }).rows
  return database.orm.transaction(async (tx) => {
    // A user without a row gets one, so that there is a row to lock.
    if (!isDry)
      await run(
        tx,
        sql`insert into upload_usage (tenant, owner_id, ${sql.raw(counters)}, day, day_bytes, day_files, granted)
          values (${tenant}, ${user}, 0, 0, 0, 0, 0, (now() at time zone 'utc')::date, 0, 0, 0) on conflict do nothing`,
      )
    const isOwner = sql`tenant = ${tenant} and owner_id = ${user}`
    // The row lock makes statements that create or end an upload of this user wait; the next select sees those that committed before.
    const [recorded] = await run<Row>(
      tx,
      sql`select ${sql.raw(counters)} from upload_usage where ${isOwner} for update`,
    )
    const [sums] = await run<Row>(tx, sql`select ${sql.raw(actual)} from upload_sessions where ${isOwner}`)
    const drift = { tenant, user, recorded: recorded ? toCounters(recorded) : null, actual: toCounters(sums!) }
    if (JSON.stringify(drift.recorded) === JSON.stringify(drift.actual)) return null
    const { reservedBytes, storedBytes, storedFiles, openUploads, openFiles } = drift.actual
    if (!isDry)
      await run(
        tx,
        sql`update upload_usage set reserved_bytes = ${reservedBytes}, stored_bytes = ${storedBytes},
          stored_files = ${storedFiles}, open_uploads = ${openUploads}, open_files = ${openFiles} where ${isOwner}`,
      )
    return drift
  })
}

const findFiles = {
  name: 'usage-files',
  text: `select id, tenant, owner_id, key, size, loss_seen_at from upload_sessions
    where state = 'completed' and ($1::uuid is null or id > $1) order by id limit $2`,
}
const pageSize = 200
const requestsAtOnce = 8

/**
 * Checks the object of every completed upload and yields those that are missing, have another size, or were missing before. One store
 * request per file. A missing object is one observation and does not end the upload.
 */
export async function* checkFiles(database: Database, store: ObjectStore): AsyncIterable<FileCheck> {
  let last: string | null = null
  for (;;) {
    const rows: FileRow[] = await database.query<FileRow>(findFiles, [last, pageSize])
    for (let from = 0; from < rows.length; from += requestsAtOnce) {
      const batch = rows.slice(from, from + requestsAtOnce)
      const found = await Promise.all(batch.map((row) => store.stat(row.key)))
      for (const [n, { owner_id: user, loss_seen_at, ...row }] of batch.entries()) {
        const wasMissing = loss_seen_at !== null
        if (found[n]?.size !== row.size || wasMissing) yield { ...row, user, wasMissing, found: found[n]?.size ?? null }
      }
    }
    if (rows.length < pageSize) return
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
