/*
 * What the servers did, over time, for plots. Each server adds what it counted to the row of these ten seconds, so that the rows
 * tell of all servers together, whoever is asked, and outlive a restart. A server that does nothing writes nothing.
 */
import type { Database } from '../../db/open.ts'

/** What is counted, in the order of the columns. */
export const counted = [
  'receivedBytes',
  'storedBytes',
  'requests',
  'refusals',
  'failures',
  'storeErrors',
  'begun',
  'completed',
  'cancelled',
  'expired',
  'failed',
] as const
export type Totals = Record<(typeof counted)[number], number>

export interface Point extends Totals {
  /** When its stretch of time begins. */
  at: Date
}

/** So long is the stretch of time of one row. */
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
  // Stretches in which nothing happened are told too: a plot must fall to zero there.
  text: `select step as at, ${names.map((name) => `coalesce(sum(${name}), 0)::float8 as ${name}`).join(', ')}
    from generate_series(${bucketStart(`now() - $1::int * interval '1 second'`, '$2::int')}, now(), $2::int * interval '1 second') step
    left join activity on at >= step and at < step + $2::int * interval '1 second'
    group by step order by step`,
}
const forget = { name: 'activity-forget', text: `delete from activity where at < now() - $1 * interval '1 day'` }

export interface ActivityOptions {
  database: Database
  /** What this server has counted since it was started. */
  read(): Promise<Totals>
  onError(error: unknown): void
  everyMs?: number
}

/** Writes down what this server does until the way out, which is returned, is taken. */
export function recordActivity({ database, read, onError, everyMs = bucketSeconds * 1000 }: ActivityOptions) {
  let told: number[] = counted.map(() => 0)
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
    const news = now.map((value, at) => value - told[at]!)
    if (news.every((value) => value === 0)) return
    // Where nobody knows whether it was written it is not told again: a gap in a plot is better than a peak that never was.
    await database.queryOnce(add, news)
    told = now
  }

  return async () => {
    clearInterval(timer)
    await write()
  }
}

/** What happened in the last `seconds`, in stretches of `step` seconds, the oldest first. */
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

/** Removes what is older than anybody can ask for. */
export async function forgetActivity(database: Database): Promise<void> {
  await database.query(forget, [keptDays])
}
