import type { Marker, PairingRow } from '../core/pairing/marker.ts'
import { workForAll } from '../core/turns.ts'
import type { Database } from './open.ts'

/** The row that pairs the database with its store. @throws UploadError DATABASE_ERROR */
export interface Pairings {
  find(): Promise<PairingRow | null>
  /** Inserts the row unless there is one. Returns the row that is there then; one inserted here is not marked yet. */
  insert(marker: Marker): Promise<PairingRow>
  /** Records that the marker in the store has `counter`. */
  confirm(storeId: string, counter: number): Promise<void>
  /** Increments the counter; `null` when it is not `counter` any more, or its marker is still being written. */
  advance(counter: number): Promise<PairingRow | null>
  /**
   * Takes over writing the marker from a server that did not finish it. `null` while that server may still be writing, unless `isOurs`.
   */
  resume(counter: number, isOurs: boolean): Promise<PairingRow | null>
  /** Pairs the database with a store on an operator's command, whatever the row says. */
  replace(marker: Marker): Promise<PairingRow>
  /** Gives open uploads and scheduled deletions their full time again. Returns the number of uploads. */
  renewTimes(graceMs: number): Promise<number>
  /** The keys of the newest completed uploads. */
  newestKeys(): Promise<string[]>
  /** A number that grows whenever an upload is created or ends. */
  lastChange(): Promise<number>
}

interface Row {
  store_id: string
  database_id: string
  epoch: number
  counter: number
  marked_counter: number
  advanced_at: Date
  is_marked: boolean
}

const find = { name: 'pairing-find', text: `select * from store_pairing` }
const insert = {
  name: 'pairing-insert',
  text: `insert into store_pairing (id, store_id, database_id, epoch, counter, is_marked) values (1, $1, $2, $3, $4, false) on conflict do nothing`,
}
const confirm = {
  name: 'pairing-confirm',
  text: `update store_pairing set is_marked = true, marked_counter = greatest(marked_counter, $2) where store_id = $1 and counter >= $2`,
}
const advance = {
  name: 'pairing-advance',
  text: `update store_pairing set counter = counter + 1, advanced_at = now()
    where counter = $1 and is_marked and marked_counter >= counter returning *`,
}
// Writing a marker never takes two minutes, so two servers never write different markers at the same time.
const resume = {
  name: 'pairing-resume',
  text: `update store_pairing set advanced_at = now()
    where counter = $1 and is_marked and marked_counter < counter and ($2 or advanced_at < now() - interval '2 minutes') returning *`,
}
const replace = {
  name: 'pairing-replace',
  text: `insert into store_pairing (id, store_id, database_id, epoch, counter, is_marked) values (1, $1, $2, $3, $4, false)
    on conflict (id) do update set store_id = excluded.store_id, database_id = excluded.database_id, epoch = excluded.epoch,
      counter = excluded.counter, marked_counter = 0, advanced_at = now(), is_marked = false
    returning *`,
}
const renewTimes = {
  name: 'pairing-renew',
  text: `with deletions as (
      update upload_sessions set delete_due_at = greatest(delete_due_at, now() + $1 * interval '1 millisecond')
      where delete_due_at is not null)
    update upload_sessions set expires_at = greatest(expires_at, now() + time_to_live_ms * interval '1 millisecond')
    where expires_at is not null and time_to_live_ms is not null and state in ('receiving', 'completed') returning id`,
}
const findNewestKeys = {
  name: 'pairing-newest-keys',
  text: `select coalesce((select json_agg(key) from (
      select key from upload_sessions where state = 'completed' and not is_partial
      order by created_at desc limit 5) each), '[]') as keys`,
}
const lastChange = { name: 'pairing-change', text: `select coalesce(max(id), 0) as last from audit_log` }

/** The pairing row of `database`. */
export function pairingsIn(database: Pick<Database, 'query'>): Pairings {
  const rowOf = async (statement: { name: string; text: string }, values: unknown[]) => {
    // All requests that need the row wait for the same query.
    const [row] = await workForAll(() => database.query<Row>(statement, values))
    return row ? toPairing(row) : null
  }
  return {
    find: () => rowOf(find, []),
    async insert({ storeId, databaseId, epoch, counter }) {
      await database.query(insert, [storeId, databaseId, epoch, counter])
      return (await rowOf(find, []))!
    },
    async confirm(storeId, counter) {
      await database.query(confirm, [storeId, counter])
    },
    advance: (counter) => rowOf(advance, [counter]),
    resume: (counter, isOurs) => rowOf(resume, [counter, isOurs]),
    async replace({ storeId, databaseId, epoch, counter }) {
      return (await rowOf(replace, [storeId, databaseId, epoch, counter]))!
    },
    renewTimes: async (graceMs) => (await database.query(renewTimes, [graceMs])).length,
    newestKeys: async () => (await database.query<{ keys: string[] }>(findNewestKeys, []))[0]!.keys,
    lastChange: async () => Number((await database.query<{ last: number }>(lastChange, []))[0]!.last),
  }
}

function toPairing(row: Row): PairingRow {
  const { store_id: storeId, database_id: databaseId, epoch, counter } = row
  return {
    storeId,
    databaseId,
    epoch,
    counter: Number(counter),
    advancedAt: row.advanced_at,
    isMarked: row.is_marked,
    markedCounter: Number(row.marked_counter),
  }
}
