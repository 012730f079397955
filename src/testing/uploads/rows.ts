/*
 * The uploads of one process in memory, as the tables of the database have them. Every operation runs to its end without an `await`, as
 * a statement of Postgres does: all of it or nothing is seen by others.
 */
import type { ContentState } from '../../core/content.ts'
import type { EventType } from '../../core/events.ts'
import type { Usage } from '../../core/policy/quota.ts'
import { ownerKey, type StoredPart, type UploadRecord } from '../../core/upload.ts'
import { contiguous } from '../../db/uploads/contiguous-offset.ts'

/** An upload with what the repository keeps for itself. */
export interface Row {
  /** As the row has it: of numbered parts, the offset is counted by `measured`. */
  record: UploadRecord
  /** Bytes of the owner's quota; `null` once a final upload has taken the reservation over. */
  reserved: number | null
  isAnswerLost: boolean
  lease: { token: string; until: number } | null
  revision: number
  /** Counts every change of `updatedAt`. */
  version: number
  parts: Map<number, Part>
  /** Of a file that was complete once: its content and its links. */
  file: { state: ContentState; linkEpoch: number } | null
}

/** A receipt, or, with a lock, a part that a request is writing or died while writing. */
export interface Part extends Omit<StoredPart, 'number'> {
  lock: { token: string; until: number } | null
}

/** An event of an upload, as the outbox has it. */
export interface MemoryEvent {
  /** Grows with time across all uploads. */
  id: number
  uploadId: string
  /** Counts the events of one upload, from 1. */
  seq: number
  type: EventType
  data: Record<string, string | number | boolean | null>
  createdAt: Date
}

/** The usage of one user, with the day (UTC) of its daily counters. */
export interface DatedUsage extends Usage {
  day: string
}

export interface Rows {
  uploads: Map<string, Row>
  /** By `ownerKey`. */
  usage: Map<string, DatedUsage>
  events: MemoryEvent[]
  onEvent(event: MemoryEvent): void
}

export function noRows(onEvent: Rows['onEvent']): Rows {
  return { uploads: new Map(), usage: new Map(), events: [], onEvent }
}

/** Marks the row as changed now. */
export function touch(row: Row): void {
  row.record.updatedAt = new Date()
  row.version += 1
}

/** Whether a lease or a part lock is held. */
export function isHeld(lock: { until: number } | null): boolean {
  return lock !== null && lock.until > Date.now()
}

export function isOpen({ record: { state } }: Row): boolean {
  return state === 'receiving' || state === 'finishing'
}

/** Whether a request writes to one of its parts. */
export function hasLockedPart({ parts }: Row): boolean {
  return [...parts.values()].some(({ lock }) => isHeld(lock))
}

export function isOwnedBy(row: Row, { ownerId, tenant }: { ownerId: string; tenant: string | null }): boolean {
  return row.record.ownerId === ownerId && row.record.tenant === tenant
}

export function usageOf({ usage }: Rows, { ownerId, tenant }: Pick<UploadRecord, 'ownerId' | 'tenant'>) {
  return usage.get(ownerKey({ id: ownerId, tenant }))
}

/** The receipts, by number. */
export function receiptsOf({ parts }: Row): StoredPart[] {
  return [...parts]
    .filter(([, { lock }]) => lock === null)
    .map(([number, { lock, ...receipt }]) => ({ number, ...receipt }))
    .toSorted((a, b) => a.number - b.number)
}

/** A copy of the upload as it is in the row: callers change what they are given. */
export function unmeasured({ record }: Row): UploadRecord {
  return structuredCopy(record)
}

/** A copy of the upload with its true offset, whatever the order in which its parts arrived. */
export function measured(row: Row): UploadRecord {
  const record = structuredCopy(row.record)
  if (record.kind !== 'parted' || record.state !== 'receiving') return record
  const leading = receiptsOf(row).filter(({ number }, index) => number === index + 1)
  const bytes = leading.reduce((sum, { size }) => sum + size, 0)
  return Object.assign(record, contiguous(record, [leading.length, bytes]))
}

export function structuredCopy(record: UploadRecord): UploadRecord {
  const { prefix, ...others } = record
  // A clone of a buffer is no buffer.
  return Object.assign(structuredClone(others), { prefix: prefix && Buffer.from(prefix) }) as UploadRecord
}

export function dayOf(moment: Date): string {
  return moment.toISOString().slice(0, 10)
}
