/*
 * Delivers the events of all uploads to the subscribers on this server. The outbox delivers each event on one server only; the feed
 * of every server reads the same table itself: one statement every `everyMs` however many subscribers there are, none without any.
 *
 * Postgres assigns ids before commit, so a lower id may appear after a higher one. Each read therefore goes back a little, and the
 * feed remembers delivered ids for as long.
 */
import type { Owner } from '../../core/access/access.ts'
import type { EventType } from '../../core/events.ts'
import { workForAll } from '../../core/turns.ts'
import type { Database } from '../../db/open.ts'

/** An event as subscribers receive it. */
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
  /** Delivers every event from the moment it resolves. @returns the disposer */
  subscribe(subscriber: (event: LiveEvent) => void): Promise<() => void>
  /** The events after `id`, in order, of one owner, of one tenant or of all; at most `limit`. */
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
// A transaction that writes an event commits within this time.
const settleMs = 10_000
// Never more transactions than this write events at once.
const openTransactions = 100

/** The feed of `database`. It reads only while there are subscribers. */
export function openFeed({ database, onError, everyMs = 500 }: FeedOptions): Feed {
  const subscribers = new Set<(event: LiveEvent) => void>()
  /** Ids that were delivered or precede the first subscription → when they were read. */
  const delivered = new Map<number, number>()
  /** No event at or below this id can still appear. */
  let floor = 0
  let opening: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null
  let isClosed = false

  /** Marks the existing events as delivered: a new subscriber receives only later ones. */
  async function open(): Promise<void> {
    const [newest] = await database.query<{ id: number }>(readNewest, [])
    floor = Math.max(0, newest!.id - openTransactions)
    await eachAfter(floor, (row) => delivered.set(row.id, performance.now()))
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
      if (delivered.has(row.id)) return
      delivered.set(row.id, now)
      const event = toEvent(row)
      for (const subscriber of subscribers) subscriber(event)
    })
    for (const [id, at] of delivered) {
      if (now - at < settleMs) break
      delivered.delete(id)
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
          if (subscribers.size > 0) return readSoon()
          // The next subscriber starts with the events that are new then.
          opening = null
          delivered.clear()
        })
    }, everyMs)
  }

  return {
    async subscribe(subscriber) {
      for (;;) {
        const current = (opening ??= workForAll(open))
        await current.catch((error: unknown) => {
          if (opening === current) opening = null
          throw error
        })
        if (opening === current) break
      }
      subscribers.add(subscriber)
      if (timer === null && !isClosed) workForAll(readSoon)
      return () => void subscribers.delete(subscriber)
    },
    async since(id, of, limit) {
      const isOfTenant = of !== null && !('ownerId' in of)
      const rows = isOfTenant
        ? await database.query<EventRow>(readSinceOfTenant, [id, of.tenant, limit])
        : await database.query<EventRow>(readSince, [id, of?.ownerId ?? null, of?.tenant ?? null, limit])
      return rows.map(toEvent)
    },
    subscribers: () => subscribers.size,
    close() {
      isClosed = true
      if (timer) clearTimeout(timer)
    },
  }
}

/** Without the object key, which subscribers may not see. */
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
