/*
 * Counters over time, for plots. Every server adds its counts to the row of the current ten seconds, so a row is the sum over all
 * servers and survives a restart. An idle server writes nothing.
 */
import type { Database } from '../../db/open.ts'
import type { Totals } from '../feature.ts'

/** The counters, in the order of the columns. */
export const counted = [
  'receivedBytes',
  'storedBytes',
  'requests',
  'clientErrors',
  'serverErrors',
  'storeErrors',
  'created',
  'completed',
  'cancelled',
  'expired',
  'failed',
] as const satisfies (keyof Totals)[]

export interface Point extends Totals {
  /** Start of the bucket. */
  at: Date
}

/** Length of the bucket of one row. */
export const bucketSeconds = 10
const keptDays = 8

const names = counted.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
const bucketStart = (moment: string, seconds: string) =>
  `to_timestamp(floor(extract(epoch from ${moment}) / ${seconds}) * ${seconds})`

const add = {
  name: 'activity-add',
  text: `insert into activity as a (at, ${names.join(', ')})
    values (${bucketStart('now()', String(bucketSeconds))}, ${names.map((_, at) => `$${at + 1}`).join(', ')})
    on conflict (at) do update set ${names.map((name) => `${name} = a.${name} + excluded.${name}`).join(', ')}`,
}
const find = {
  name: 'activity-find',
  // Empty buckets are returned as well: a plot must fall to zero there.
  text: `select step as at, ${names.map((name) => `coalesce(sum(${name}), 0)::float8 as ${name}`).join(', ')}
    from generate_series(${bucketStart(`now() - $1::int * interval '1 second'`, '$2::int')}, now(), $2::int * interval '1 second') step
    left join activity on at >= step and at < step + $2::int * interval '1 second'
    group by step order by step`,
}
const forget = { name: 'activity-forget', text: `delete from activity where at < now() - $1 * interval '1 day'` }

export interface ActivityOptions {
  database: Database
  /** Counts of this server since it started. */
  read(): Promise<Totals>
  onError(error: unknown): void
  everyMs?: number
}

/** Records the counters of this server every `everyMs`. @returns the disposer, which records a last time */
export function recordActivity({ database, read, onError, everyMs = bucketSeconds * 1000 }: ActivityOptions) {
  let recorded: number[] = counted.map(() => 0)
  let writing: Promise<void> = Promise.resolve()
  const write = () => {
    writing = writing.then(flush).catch(onError)
    return writing
  }
  const timer = setInterval(() => void write(), everyMs)
  timer.unref()

  async function flush(): Promise<void> {
    const totals = await read()
    const now = counted.map((name) => totals[name])
    const increments = now.map((value, at) => value - recorded[at]!)
    if (increments.every((value) => value === 0)) return
    // When the outcome of the write is unknown it is not repeated: a gap in a plot is better than a peak that never was.
    await database.queryOnce(add, increments)
    recorded = now
  }

  return async () => {
    clearInterval(timer)
    await write()
  }
}

/** The counters of the last `seconds`, in buckets of `step` seconds, oldest first. */
export async function findActivity(
  database: Database,
  { seconds, step }: { seconds: number; step: number },
): Promise<Point[]> {
  const rows = await database.query<Record<string, number> & { at: Date }>(find, [seconds, step])
  return rows.map((row) => {
    const values = counted.map((name, at) => [name, row[names[at]!]])
    return { at: row.at, ...(Object.fromEntries(values) as Totals) }
  })
}

/** Removes rows older than the API can return. */
export async function forgetActivity(database: Database): Promise<void> {
  await database.query(forget, [keptDays])
}
