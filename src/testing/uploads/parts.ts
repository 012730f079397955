import type { UploadRepository } from '../../core/ports/uploads.ts'
import { dayOf, isHeld, type Row, type Rows, receiptsOf, touch, usageOf } from './rows.ts'

type PartWrites = Pick<
  UploadRepository,
  | 'acquirePartLock'
  | 'renewPartLock'
  | 'recordPart'
  | 'releasePartLock'
  | 'isPartLocked'
  | 'countRepeatedBytes'
  | 'markWriting'
>

/** What is written to uploads outside of their leases: numbered parts. */
export function partWrites(rows: Rows): PartWrites {
  const lockedPart = (id: string, number: number, token: string) => {
    const part = rows.uploads.get(id)?.parts.get(number)
    return part?.lock?.token === token ? part : undefined
  }
  /** The row, if bytes may be written to it now without its lease. */
  const open = (id: string) => {
    const row = rows.uploads.get(id)
    return row && row.record.state === 'receiving' && !isHeld(row.lease) ? row : undefined
  }
  return {
    async acquirePartLock(id, { number, token, ms, expiresAt, replaces }) {
      const row = open(id)
      if (!row) return 'closed'
      markChanged(row, expiresAt)
      // The former holder of an expired lease, should it wake, cannot overwrite the new part.
      row.lease = null
      const part = row.parts.get(number)
      if (part && part.lock === null && !replaces) return receiptsOf(row).find((receipt) => receipt.number === number)!
      if (part && part.lock !== null && isHeld(part.lock) && part.lock.token !== token) return 'taken'
      row.parts.set(number, { size: 0, etag: '', crc32: null, lock: { token, until: Date.now() + ms } })
      return 'mine'
    },
    async renewPartLock(id, { number, token, ms }) {
      const part = lockedPart(id, number, token)
      if (part) part.lock = { token, until: Date.now() + ms }
      return part !== undefined
    },
    async recordPart(id, { number, ...receipt }, token) {
      const row = rows.uploads.get(id)
      const part = row?.parts.get(number)
      if (!row || !part || row.record.state !== 'receiving') return false
      // A second run after a lost answer finds its own receipt.
      const isRecorded = part.lock === null && part.size === receipt.size && part.etag === receipt.etag
      if (part.lock?.token !== token && !isRecorded) return false
      row.record.lossSeenAt = null
      row.parts.set(number, { ...receipt, lock: null })
      return true
    },
    async releasePartLock(id, { number, token }) {
      if (lockedPart(id, number, token)) rows.uploads.get(id)?.parts.delete(number)
    },
    async isPartLocked(id, number) {
      return isHeld(rows.uploads.get(id)?.parts.get(number)?.lock ?? null)
    },
    async countRepeatedBytes(owner, bytes) {
      const usage = usageOf(rows, owner)
      if (!usage) return 0
      const day = dayOf(new Date())
      if (usage.day !== day) Object.assign(usage, { day, dayBytes: 0, dayFiles: 0 })
      usage.dayBytes += bytes
      return usage.dayBytes
    },
    async markWriting(id, expiresAt) {
      const row = open(id)
      if (row) markChanged(row, expiresAt)
      return row !== undefined
    },
  }
}

/** Something is about to be stored that the row does not name yet. */
function markChanged(row: Row, expiresAt: Date | null): void {
  Object.assign(row.record, { expiresAt, needsCleanup: true })
  touch(row)
}
