/*
 * What happens to uploads, told as it happens to whoever listens on this node. The outbox brings each event to one node only;
 * here every node reads them from the same table: one statement a moment however many listen, and none while nobody does.
 *
 * Numbers are given before they are committed, so that a lower one may appear after a higher one. So the reading always goes
 * back a little, and what was told is remembered for as long.
 */
import type { Owner } from '../../core/access/access.ts'
import type { EventType } from '../../core/events.ts'
import type { Database } from '../../db/open.ts'

/** An event as listeners see it. */
export interface LiveEvent extends Owner {
  id: number
  type: EventType
  uploadId: string
  at: string
  data: Record<string, string | number | boolean | null>
}

interface EventRow {
  id: number
  upload_id: string
  type: EventType
  data: LiveEvent['data']
  created_at: Date
}

export interface Feed {
  /** Tells every event from when it resolves on; returns the way out. */
  subscribe(hear: (event: LiveEvent) => void): Promise<() => void>
  /** The events after number `id`, in order, of one owner, of one tenant or of all; at most `limit`. */
  since(id: number, of: Owner | { tenant: string } | null, limit: number): Promise<LiveEvent[]>
  subscribers(): number
  close(): void
}

export interface FeedOptions {
  database: Pick<Database, 'query'>
  onError(error: unknown): void
  everyMs?: number
}

const readNewest = { name: 'feed-newest', text: 'select coalesce(max(id), 0) as id from upload_events' }
const readAfter = {
  name: 'feed-after',
  text: `select id, upload_id, type, data, created_at from upload_events where id > $1 order by id limit $2`,
}
const readSince = {
  name: 'feed-since',
  text: `select id, upload_id, type, data, created_at from upload_events
    where id > $1 and ($2::text is null or (data->>'ownerId' = $2 and data->>'tenant' is not distinct from $3)) order by id limit $4`,
}
const readSinceOfTenant = {
  name: 'feed-since-tenant',
  text: `select id, upload_id, type, data, created_at from upload_events
    where id > $1 and data->>'tenant' = $2 order by id limit $3`,
}
const atOnce = 1000
// A statement that writes an event is over in less.
const settleMs = 10_000
// More than so many are never being written at once.
const openTransactions = 100

/** The feed of `database`. It reads only while somebody listens. */
export function openFeed({ database, onError, everyMs = 500 }: FeedOptions): Feed {
  const ears = new Set<(event: LiveEvent) => void>()
  /** Numbers that were told, or were there before anybody listened, and since when that is known. */
  const told = new Map<number, number>()
  /** Everything up to here is settled. */
  let floor = 0
  let opening: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null
  let isClosed = false

  /** What is there now is not told: the next one is the first. */
  async function open(): Promise<void> {
    const [newest] = await database.query<{ id: number }>(readNewest, [])
    floor = Math.max(0, newest!.id - openTransactions)
    await eachAfter(floor, (row) => told.set(row.id, performance.now()))
  }

  async function eachAfter(id: number, take: (row: EventRow) => void): Promise<void> {
    for (let from = id; ; ) {
      const rows = await database.query<EventRow>(readAfter, [from, atOnce])
      for (const row of rows) take(row)
      if (rows.length < atOnce) return
      from = rows.at(-1)!.id
    }
  }

  async function read(): Promise<void> {
    const now = performance.now()
    await eachAfter(floor, (row) => {
      if (told.has(row.id)) return
      told.set(row.id, now)
      const event = toEvent(row)
      for (const hear of ears) hear(event)
    })
    for (const [id, at] of told) {
      if (now - at < settleMs) break
      told.delete(id)
      floor = Math.max(floor, id)
    }
  }

  function readSoon(): void {
    timer = setTimeout(() => {
      void read()
        .catch(onError)
        .finally(() => {
          timer = null
          if (isClosed) return
          if (ears.size > 0) return readSoon()
          // Who listens next begins with what is new then.
          opening = null
          told.clear()
        })
    }, everyMs)
  }

  return {
    async subscribe(hear) {
      for (;;) {
        const mine = (opening ??= open())
        await mine.catch((error: unknown) => {
          if (opening === mine) opening = null
          throw error
        })
        if (opening === mine) break
      }
      ears.add(hear)
      if (timer === null && !isClosed) readSoon()
      return () => void ears.delete(hear)
    },
    async since(id, of, limit) {
      const isOfTenant = of !== null && !('ownerId' in of)
      const rows = isOfTenant
        ? await database.query<EventRow>(readSinceOfTenant, [id, of.tenant, limit])
        : await database.query<EventRow>(readSince, [id, of?.ownerId ?? null, of?.tenant ?? null, limit])
      return rows.map(toEvent)
    },
    subscribers: () => ears.size,
    close() {
      isClosed = true
      if (timer) clearTimeout(timer)
    },
  }
}

/** The object key is nobody's business who only listens. */
function toEvent({ id, upload_id: uploadId, type, data, created_at: at }: EventRow): LiveEvent {
  const { key, ownerId, tenant, ...rest } = data
  return {
    id,
    ownerId: String(ownerId),
    tenant: typeof tenant === 'string' ? tenant : null,
    type,
    uploadId,
    at: at.toISOString(),
    data: rest,
  }
}
