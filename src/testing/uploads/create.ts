import { errors } from '../../core/errors/errors.ts'
import { noUsage, type Quota, quotaErrors, unlimitedQuota } from '../../core/policy/quota.ts'
import { countOne } from '../../core/policy/rate.ts'
import type { UploadRepository } from '../../core/ports/uploads.ts'
import { ownerKey, type UploadRecord } from '../../core/upload.ts'
import { addEvent } from './events.ts'
import { findRepeated } from './lost-answers.ts'
import { findFinal } from './read.ts'
import { type DatedUsage, dayOf, isOpen, type Row, type Rows, structuredCopy, usageOf } from './rows.ts'

/** Writes the row of a new upload and reserves its bytes within its quota: both or neither. */
export function creator(rows: Rows): Pick<UploadRepository, 'insert'> {
  return {
    async insert(upload, event, quota = unlimitedQuota, _by, lock) {
      const repeated = upload.kind === 'final' ? [] : findRepeated(rows, upload)
      const existing = rows.uploads.get(upload.id)
      // A second run after a lost answer inserts nothing.
      if (existing) return { maxSize: existing.record.maxSize, repeated }
      const granted = reserve(rows, upload, quota)
      const maxSize = upload.size === null ? granted : upload.maxSize
      rows.uploads.set(upload.id, {
        record: { ...structuredCopy(upload), maxSize },
        reserved: granted,
        isAnswerLost: false,
        lease: lock ? { token: lock.token, until: Date.now() + lock.ms } : null,
        revision: 0,
        file: null,
        version: 0,
        parts: new Map(),
      })
      addEvent(rows, event)
      return { maxSize, repeated }
    },
  }
}

/** Reserves the bytes of `upload` and returns how many. @throws UploadError QUOTA_EXCEEDED, RATE_LIMITED, UPLOAD_LOCKED */
function reserve(rows: Rows, upload: UploadRecord, quota: Quota): number {
  const now = new Date()
  const final = upload.kind === 'final' ? upload : null
  const partials = final ? reservingPartials(rows, final.partials) : []
  const taken = sumOf(partials, bytesOf)
  const takenStored = sumOf(
    partials.filter(({ record }) => record.state === 'completed'),
    bytesOf,
  )
  const before = usageToday(rows, upload, now)
  const usage = {
    ...before,
    reservedBytes: Math.max(0, before.reservedBytes - (taken - takenStored)),
    storedBytes: Math.max(0, before.storedBytes - takenStored),
  }
  const isFile = !upload.isPartial
  // The bytes of a final upload were counted on the day its partial uploads received them; only bytes copied again count today.
  const enforced = final ? { ...quota, bytesPerDay: null } : quota
  const copied = final ? Math.max(0, (upload.size ?? 0) - taken) : 0
  const [error] = [
    ...quotaErrors(enforced, usage, { size: upload.size, isFile }, now),
    ...(copied > 0
      ? quotaErrors({ ...unlimitedQuota, bytesPerDay: quota.bytesPerDay }, usage, { size: copied, isFile }, now)
      : []),
  ]
  if (error) throw error
  if (final && findFinal(rows, upload, final.partials)) throw errors.alreadyConcatenating({})
  const granted = upload.size ?? Math.min(upload.maxSize, availableBytes(enforced, usage))
  const { creationsPerMinute: perMinute } = quota
  const until =
    perMinute === null ? null : countOne(usage.creationsUntil?.getTime() ?? null, now.getTime(), perMinute).at
  for (const partial of partials) partial.reserved = null
  rows.usage.set(ownerKey({ id: upload.ownerId, tenant: upload.tenant }), {
    ...usage,
    reservedBytes: usage.reservedBytes + granted,
    openUploads: usage.openUploads + 1,
    openFiles: usage.openFiles + (isFile ? 1 : 0),
    dayBytes: usage.dayBytes + (final ? copied : granted),
    dayFiles: usage.dayFiles + (isFile ? 1 : 0),
    creationsUntil: until === null ? usage.creationsUntil : new Date(until),
  })
  return granted
}

/** The partial uploads whose reservations a final upload takes over. */
function reservingPartials(rows: Rows, ids: string[]): Row[] {
  return [...new Set(ids)]
    .flatMap((id) => rows.uploads.get(id) ?? [])
    .filter((row) => row.reserved !== null && (isOpen(row) || row.record.state === 'completed'))
}

function bytesOf({ record, reserved }: Row): number {
  return (record.state === 'completed' ? record.size : reserved) ?? 0
}

function sumOf(rows: Row[], of: (row: Row) => number): number {
  return rows.reduce((sum, row) => sum + of(row), 0)
}

function availableBytes({ totalBytes, bytesPerDay }: Quota, usage: DatedUsage): number {
  return Math.min(
    totalBytes === null ? Number.POSITIVE_INFINITY : totalBytes - usage.reservedBytes - usage.storedBytes,
    bytesPerDay === null ? Number.POSITIVE_INFINITY : bytesPerDay - usage.dayBytes,
  )
}

/** The usage of the owner; the counters of an earlier day are 0. */
function usageToday(rows: Rows, owner: Pick<UploadRecord, 'ownerId' | 'tenant'>, now: Date): DatedUsage {
  const day = dayOf(now)
  const usage = usageOf(rows, owner) ?? { ...noUsage, day }
  return usage.day === day ? usage : { ...usage, day, dayBytes: 0, dayFiles: 0 }
}
