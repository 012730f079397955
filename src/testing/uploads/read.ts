import type { Owner } from '../../core/access/access.ts'
import type { UploadRepository } from '../../core/ports/uploads.ts'
import type { UploadRecord } from '../../core/upload.ts'
import { hasLockedPart, isHeld, isOpen, isOwnedBy, measured, type Row, type Rows, receiptsOf } from './rows.ts'

type Reads = Pick<
  UploadRepository,
  'find' | 'findUnlocked' | 'findWithParts' | 'findAll' | 'list' | 'findFinal' | 'parts'
>

/** Reads uploads and their parts. */
export function reads(rows: Rows): Reads {
  const find = (id: string) => {
    const row = rows.uploads.get(id)
    return row ? shown(row) : null
  }
  return {
    find: async (id) => find(id),
    findAll: async (ids) => [...new Set(ids)].flatMap((id) => find(id) ?? []),
    async findUnlocked(id) {
      const row = rows.uploads.get(id)
      return row && !hasLockedPart(row) ? measured(row) : null
    },
    async findWithParts(id) {
      const row = rows.uploads.get(id)
      return row ? { upload: measured(row), parts: receiptsOf(row) } : null
    },
    async parts(id) {
      const row = rows.uploads.get(id)
      return row ? receiptsOf(row) : []
    },
    async list(owner, { limit, before, fingerprint, state }) {
      const now = new Date()
      const own = [...rows.uploads.values()].filter((row) => isOwnedBy(row, owner)).map(({ record }) => record)
      const last = before === undefined ? undefined : own.find(({ id }) => id === before)
      if (before !== undefined && !last) return []
      return own
        .filter((record) => !record.isPartial && (fingerprint === undefined || record.fingerprint === fingerprint))
        .filter((record) => state === undefined || record.state === state)
        .filter(({ expiresAt }) => state !== 'receiving' || expiresAt === null || expiresAt > now)
        .filter((record) => !last || newestFirst(record, last) > 0)
        .toSorted(newestFirst)
        .slice(0, limit)
        .map(({ id }) => find(id)!)
    },
    findFinal: async (owner, partials) => findFinal(rows, owner, partials),
  }
}

/** The id of the newest open or completed final upload of exactly these partial ones. */
export function findFinal({ uploads }: Rows, owner: Owner, partials: string[]): string | null {
  const [newest] = [...uploads.values()]
    .filter((row) => isOwnedBy(row, owner) && (isOpen(row) || row.record.state === 'completed'))
    .map(({ record }) => record)
    .filter((record) => record.kind === 'final' && record.partials.join() === partials.join())
    .toSorted(newestFirst)
  return newest?.id ?? null
}

function shown(row: Row): UploadRecord {
  const isBeingWritten = isOpen(row) && (isHeld(row.lease) || hasLockedPart(row))
  return { ...measured(row), isBeingWritten }
}

function newestFirst(a: UploadRecord, b: UploadRecord): number {
  return b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0)
}
