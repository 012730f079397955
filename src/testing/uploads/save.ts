import { newContentState } from '../../core/content.ts'
import type { UploadPatch, UploadRepository } from '../../core/ports/uploads.ts'
import { hasEnded } from '../../core/upload.ts'
import { type Settlement, settlementOf } from '../../db/usage.ts'
import { addEvent } from './events.ts'
import { dayOf, isOpen, type Row, type Rows, receiptsOf, structuredCopy, touch, usageOf } from './rows.ts'

/** Saves what lock holders change, and settles the usage of the owner when an upload ends. */
export function saver(rows: Rows): Pick<UploadRepository, 'save' | 'shrinkReservation'> {
  return {
    async save({ id, state }, { token, revision }, patch) {
      const row = rows.uploads.get(id)
      if (!row || row.lease?.token !== token || row.revision !== revision) return false
      const settlement = settlementOf(state, patch)
      change(row, patch)
      changeFile(row, patch, settlement)
      if (settlement) settle(rows, row, settlement)
      if ((settlement || patch.event) && hasEnded(row.record)) row.parts.clear()
      addEvent(rows, patch.event)
      return true
    },
    async shrinkReservation(id) {
      const row = rows.uploads.get(id)
      if (!row || !isOpen(row) || row.reserved === null || row.record.size === null) return
      const excess = row.reserved - row.record.size
      if (excess <= 0) return
      row.reserved -= excess
      const usage = usageOf(rows, row.record)
      if (!usage) return
      usage.reservedBytes = Math.max(0, usage.reservedBytes - excess)
      if (isOfToday(row, usage.day) && row.record.kind !== 'final')
        usage.dayBytes = Math.max(0, usage.dayBytes - excess)
    },
  }
}

function change(row: Row, patch: UploadPatch): void {
  const { parts = [], forget = [], event, release = false, by, steps, ...fields } = patch
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  row.record = structuredCopy(Object.assign(row.record, Object.fromEntries(given)))
  touch(row)
  for (const { number, ...receipt } of parts) row.parts.set(number, { ...receipt, lock: null })
  for (const number of forget) row.parts.delete(number)
  if (release) row.lease = null
  row.revision += 1
}

/** Makes the file of a completed upload; without a deletion that is due, the content of one that has ended is gone. */
function changeFile(row: Row, { steps = [], event, deleteDueAt }: UploadPatch, settlement: Settlement | null): void {
  if (settlement === 'stored' && !row.record.isPartial) row.file = { state: newContentState(steps), linkEpoch: 0 }
  else if (row.file && settlement === null && !event && deleteDueAt === null) row.file.state = 'gone'
}

function isOfToday({ record }: Row, day: string): boolean {
  return dayOf(record.createdAt) === day
}

/** Does to the usage of the owner what the statement of a save does: see db/usage.ts. */
function settle(rows: Rows, row: Row, settlement: Settlement): void {
  const usage = usageOf(rows, row.record)
  if (!usage) return
  const { record, reserved } = row
  const ends = settlement === 'stored' || settlement === 'released'
  const files = record.isPartial ? 0 : 1
  const sign = { stored: 1, restored: 1, freed: -1, released: 0 }[settlement]
  const size = reserved === null ? 0 : (record.size ?? 0)
  if (ends) {
    usage.reservedBytes = Math.max(0, usage.reservedBytes - (reserved ?? 0))
    usage.openUploads = Math.max(0, usage.openUploads - 1)
    usage.openFiles = Math.max(0, usage.openFiles - files)
  }
  usage.storedBytes = Math.max(0, usage.storedBytes + sign * size)
  usage.storedFiles = Math.max(0, usage.storedFiles + sign * files)
  if (isOfToday(row, usage.day)) {
    if (ends && reserved !== null && record.kind !== 'final')
      usage.dayBytes = Math.max(0, usage.dayBytes - reserved + receivedBytes(row))
    if (settlement === 'released') usage.dayFiles = Math.max(0, usage.dayFiles - files)
  }
  if (settlement === 'released') returnReservations(rows, row)
}

/** Numbered parts arrive in any order, so the offset leaves out received parts behind a gap. */
function receivedBytes(row: Row): number {
  if (row.record.kind !== 'parted') return row.record.offset
  const stored = receiptsOf(row).reduce((sum, { size }) => sum + size, 0)
  return Math.max(row.record.offset, stored)
}

/** The partial uploads of a final upload that ended without a file are still there, and reserve their bytes again. */
function returnReservations(rows: Rows, { record }: Row): void {
  if (record.kind !== 'final') return
  for (const id of new Set(record.partials)) {
    const partial = rows.uploads.get(id)
    if (!partial || partial.reserved !== null) continue
    const isStored = partial.record.state === 'completed'
    if (!isOpen(partial) && !isStored) continue
    partial.reserved = partial.record.size ?? partial.record.maxSize
    const usage = usageOf(rows, record)!
    if (isStored) usage.storedBytes += partial.record.size ?? 0
    else usage.reservedBytes += partial.reserved
  }
}
