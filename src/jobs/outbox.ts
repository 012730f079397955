/*
 * What happened to an upload is written beside the change itself, in one transaction. The outbox brings it to those who
 * listen: at least once, in order for each upload, with a number that tells repetitions apart. A listener that fails is
 * asked again later, and later still; the events of other uploads do not wait for it.
 */
import type { EventType } from '../core/events.ts'
import type { Database } from '../db/open.ts'

export interface DeliveredEvent {
  /** Grows with time over all uploads. */
  id: number
  uploadId: string
  /** Counts the events of one upload, from 1. */
  seq: number
  type: EventType
  data: Record<string, string | number | boolean | null>
  createdAt: Date
}

/** Hears of an event; a rejection means: tell me again. The same event may come twice. */
export type Listener = (event: DeliveredEvent) => Promise<void> | void

export interface Outbox {
  /** Delivers soon; called after something happened, so that nobody waits for the next minute. */
  wake(): void
  /** Delivers what is due now. Returns how many events were taken up. */
  deliver(): Promise<number>
  /** Waits for a delivery that runs. */
  close(): Promise<void>
}

const leaseSeconds = 60
const takeDueEvents = {
  name: 'outbox-take',
  // An event waits for all earlier ones of its upload; what another node holds is passed over.
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
  text: `update upload_events set next_attempt_at = now() + $2 * interval '1 second' where id = $1`,
}
const batch = 100
const longestPauseSeconds = 3600

interface EventRow {
  id: number
  upload_id: string
  seq: number
  type: EventType
  data: DeliveredEvent['data']
  created_at: Date
  attempts: number
}

/** The outbox of `database`, told to all `listeners` in turn. */
export function createOutbox(
  database: Database,
  listeners: Listener[],
  onError: (error: unknown, facts: { eventId?: number }) => void,
): Outbox {
  let running: Promise<number> | null = null
  let isDue = false
  let isClosed = false

  async function deliver(): Promise<number> {
    let count = 0
    while (!isClosed) {
      const rows = await database.query<EventRow>(takeDueEvents, [leaseSeconds, batch])
      if (rows.length === 0) return count
      count += rows.length
      const delivered: number[] = []
      for (const row of rows.toSorted((a, b) => a.id - b.id)) if (await deliverOne(row)) delivered.push(row.id)
      if (delivered.length > 0) await database.query(markDelivered, [delivered])
    }
    return count
  }

  async function deliverOne(row: EventRow): Promise<boolean> {
    const { id, seq, type, data } = row
    try {
      for (const listen of listeners)
        await listen({ id, uploadId: row.upload_id, seq, type, data, createdAt: row.created_at })
      return true
    } catch (error) {
      onError(error, { eventId: id })
      await database.query(postpone, [id, Math.min(longestPauseSeconds, 2 ** row.attempts)])
      return false
    }
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
