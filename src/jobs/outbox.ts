/*
 * A change of an upload and its event are written in one transaction. The outbox delivers the events to the listeners: at least once,
 * in order for each upload, and with a number by which a listener recognizes repetitions. When a listener fails, the event is delivered
 * again after a growing delay, and the events of other uploads do not wait for it.
 */
import type { EventType } from '../core/events.ts'
import type { Database } from '../db/open.ts'

export interface DeliveredEvent {
  /** Grows with time across all uploads. */
  id: number
  uploadId: string
  /** Counts the events of one upload, from 1. */
  seq: number
  type: EventType
  data: Record<string, string | number | boolean | null>
  createdAt: Date
}

/** Takes an event; after a rejection it is delivered again. The same event may be delivered twice. */
export type Listener = (event: DeliveredEvent) => Promise<void> | void

/** Takes the events of one delivery together, before any `Listener` takes one; after a rejection all of them are delivered again. */
export type BatchListener = (events: DeliveredEvent[]) => Promise<void> | void

/** What takes events. */
export interface Listeners {
  listeners: Listener[]
  batchListeners?: BatchListener[]
}

export interface Outbox {
  /** Starts a delivery, or one more after the delivery that is running. */
  wake(): void
  /** Delivers all due events. Returns how many it took. */
  deliver(): Promise<number>
  /** Waits for a running delivery. */
  close(): Promise<void>
}

const leaseSeconds = 60
const takeDueEvents = {
  name: 'outbox-take',
  // An event waits for all earlier ones of its upload; events that another node is delivering are skipped.
  text: `update upload_events set attempts = attempts + 1, next_attempt_at = now() + $1 * interval '1 second'
    where id in (
      select due.id from upload_events due
      where due.delivered_at is null and due.next_attempt_at <= now()
        and not exists (
          select from upload_events earlier
          where earlier.upload_id = due.upload_id and earlier.seq < due.seq and earlier.delivered_at is null)
      order by due.id limit $2 for update skip locked)
    returning id, upload_id, seq, type, data, created_at, attempts`,
}
const markDelivered = {
  name: 'outbox-mark-delivered',
  text: `update upload_events set delivered_at = now() where id = any($1::bigint[])`,
}
const postpone = {
  name: 'outbox-postpone',
  text: `update upload_events set next_attempt_at = now() + due.seconds * interval '1 second'
    from unnest($1::bigint[], $2::int[]) as due (id, seconds) where upload_events.id = due.id`,
}
const batchSize = 100
const maxDelaySeconds = 3600

interface EventRow {
  id: number
  upload_id: string
  seq: number
  type: EventType
  data: DeliveredEvent['data']
  created_at: Date
  attempts: number
}

/** The outbox of `database`; it delivers each event to all listeners, one after another. */
export function createOutbox(
  database: Database,
  { listeners, batchListeners = [] }: Listeners,
  onError: (error: unknown, facts: { eventId?: number }) => void,
): Outbox {
  let running: Promise<number> | null = null
  let isDue = false
  let isClosed = false

  async function deliver(): Promise<number> {
    let count = 0
    while (!isClosed) {
      const rows = await database.query<EventRow>(takeDueEvents, [leaseSeconds, batchSize])
      if (rows.length === 0) return count
      count += rows.length
      const inOrder = rows.toSorted((a, b) => a.id - b.id)
      if (!(await deliverBatch(inOrder))) continue
      const delivered: number[] = []
      for (const row of inOrder) if (await deliverOne(row)) delivered.push(row.id)
      if (delivered.length > 0) await database.query(markDelivered, [delivered])
    }
    return count
  }

  async function deliverBatch(rows: EventRow[]): Promise<boolean> {
    try {
      for (const listen of batchListeners) await listen(rows.map(eventOf))
      return true
    } catch (error) {
      onError(error, { eventId: rows[0]!.id })
      await deliverLater(rows)
      return false
    }
  }

  async function deliverOne(row: EventRow): Promise<boolean> {
    try {
      for (const listen of listeners) await listen(eventOf(row))
      return true
    } catch (error) {
      onError(error, { eventId: row.id })
      await deliverLater([row])
      return false
    }
  }

  async function deliverLater(rows: EventRow[]): Promise<void> {
    const seconds = rows.map(({ attempts }) => Math.min(maxDelaySeconds, 2 ** attempts))
    await database.query(postpone, [rows.map(({ id }) => id), seconds])
  }

  function run(): Promise<number> {
    running ??= deliver().finally(() => {
      running = null
      if (isDue && !isClosed) {
        isDue = false
        void run().catch((error: unknown) => onError(error, {}))
      }
    })
    return running
  }

  return {
    wake() {
      if (isClosed) return
      if (running) isDue = true
      else void run().catch((error: unknown) => onError(error, {}))
    },
    deliver: run,
    async close() {
      isClosed = true
      await running?.catch(() => {})
    },
  }
}

function eventOf({ id, upload_id: uploadId, seq, type, data, created_at: createdAt }: EventRow): DeliveredEvent {
  return { id, uploadId, seq, type, data, createdAt }
}
