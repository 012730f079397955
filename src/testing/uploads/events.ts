import type { Event } from '../../core/events.ts'
import type { Rows } from './rows.ts'

/** Adds an event to the outbox, in the same turn as the change that it reports. */
export function addEvent({ events, onEvent }: Rows, event: Event | undefined): void {
  if (!event) return
  const { uploadId, type, data } = event
  const seq = events.filter((other) => other.uploadId === uploadId).length + 1
  const added = { id: events.length + 1, uploadId, seq, type, data: structuredClone(data), createdAt: new Date() }
  events.push(added)
  onEvent(added)
}
