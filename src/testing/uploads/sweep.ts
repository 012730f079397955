import type { UploadRepository } from '../../core/ports/uploads.ts'
import { hasEnded } from '../../core/upload.ts'
import { isHeld, isOpen, isOwnedBy, type Row, type Rows, touch } from './rows.ts'

type Sweeps = Pick<
  UploadRepository,
  | 'markNeedsCleanup'
  | 'cleanupVersion'
  | 'markCleanedUp'
  | 'findUnfinished'
  | 'findExpired'
  | 'findEnded'
  | 'findNeedingCleanup'
  | 'scheduleDeletion'
  | 'findDeletionsDue'
>

/** What the periodic jobs find and record. */
export function sweeps(rows: Rows): Sweeps {
  const find = (matches: (row: Row) => boolean, by: (row: Row) => Date | null, limit: number) =>
    [...rows.uploads.values()]
      .filter(matches)
      .toSorted((a, b) => (by(a)?.getTime() ?? 0) - (by(b)?.getTime() ?? 0))
      .slice(0, limit)
      .map(({ record }) => record.id)
  const byChange = ({ record }: Row) => record.updatedAt
  return {
    // Also when another holder has taken over: the orphans may be newer than the last clean-up of the upload.
    async markNeedsCleanup(id, token) {
      const row = rows.uploads.get(id)
      if (!row) return
      row.record.needsCleanup = true
      touch(row)
      if (row.lease?.token === token) row.lease = null
    },
    cleanupVersion: async (id) => versionOf(rows.uploads.get(id)),
    async markCleanedUp(id, version) {
      const row = rows.uploads.get(id)
      if (!row || isOpen(row) || (version !== undefined && version !== versionOf(row))) return
      row.record.needsCleanup = false
    },
    async findUnfinished(idleMs, limit) {
      const before = Date.now() - idleMs
      const isIdle = (row: Row) => row.record.updatedAt.getTime() < before && !isHeld(row.lease)
      return find((row) => row.record.state === 'finishing' && isIdle(row), byChange, limit)
    },
    async findExpired(now, limit) {
      const isPast = ({ record: { expiresAt } }: Row) => expiresAt !== null && expiresAt < now
      const isNeeded = (row: Row) => row.record.state === 'completed' && isPartOfOpenFinal(rows, row)
      const isDue = (row: Row) => ['receiving', 'completed'].includes(row.record.state) && isPast(row) && !isNeeded(row)
      return find(isDue, ({ record }) => record.expiresAt, limit)
    },
    findEnded: async (among) =>
      among.filter((id) => {
        const row = rows.uploads.get(id)
        return row && hasEnded(row.record)
      }),
    findNeedingCleanup: async (limit) => find((row) => row.record.needsCleanup && !isOpen(row), byChange, limit),
    async scheduleDeletion(id, dueAt) {
      const row = rows.uploads.get(id)
      if (row && !isOpen(row) && row.record.state !== 'completed') row.record.deleteDueAt ??= dueAt
    },
    async findDeletionsDue(now, limit) {
      const dueAt = ({ record }: Row) => record.deleteDueAt
      return find((row) => (dueAt(row)?.getTime() ?? Number.POSITIVE_INFINITY) <= now.getTime(), dueAt, limit)
    },
  }
}

function versionOf(row: Row | undefined): string {
  return row ? String(row.version) : ''
}

function isPartOfOpenFinal({ uploads }: Rows, { record }: Row): boolean {
  return [...uploads.values()].some(
    (row) =>
      row.record.kind === 'final' && isOpen(row) && isOwnedBy(row, record) && row.record.partials.includes(record.id),
  )
}
