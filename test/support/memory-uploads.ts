import type { InitialLock } from '../../src/core/ports/locks.ts'
import type { UploadPatch, UploadRepository } from '../../src/core/ports/uploads.ts'
import type { UploadRecord } from '../../src/core/upload.ts'
import type { ClaimableUploads } from '../../src/locks/memory.ts'
import { uploadRecord } from './upload-record.ts'

type Kept = Pick<UploadRepository, 'find' | 'findUnlocked' | 'save' | 'markNeedsCleanup' | 'shrinkReservation'>

/** Uploads in memory: what locks and leases need of a repository. `calls` lists the writes, in order. */
export interface MemoryUploads extends Kept, ClaimableUploads {
  readonly calls: [call: string, patch?: UploadPatch][]
  create(more?: Partial<UploadRecord>): string
  /** Inserts a row that has its lock from the start. */
  insert(upload: UploadRecord, lock: InitialLock): void
}

export function memoryUploads(): MemoryUploads {
  const rows = new Map<string, { upload: UploadRecord; revision: number; token: string | null }>()
  const calls: MemoryUploads['calls'] = []
  return {
    calls,
    create(more) {
      const upload = uploadRecord(more)
      rows.set(upload.id, { upload, revision: 0, token: null })
      return upload.id
    },
    insert(upload, { token }) {
      rows.set(upload.id, { upload, revision: 0, token })
    },
    async claim(id, token) {
      const row = rows.get(id)
      if (!row) return null
      row.token = token
      return { upload: { ...row.upload }, revision: row.revision }
    },
    async find(id) {
      const row = rows.get(id)
      return row ? { ...row.upload } : null
    },
    async findUnlocked(id) {
      return this.find(id)
    },
    async save({ id }, fence, patch) {
      calls.push(['save', patch])
      const row = rows.get(id)
      if (!row || row.token !== fence.token || row.revision !== fence.revision) return false
      const { parts, forget, event, release, by, content, ...fields } = patch
      Object.assign(row.upload, fields)
      row.revision += 1
      return true
    },
    async markNeedsCleanup(id) {
      calls.push(['markNeedsCleanup'])
      rows.get(id)!.upload.needsCleanup = true
    },
    async shrinkReservation() {
      calls.push(['shrinkReservation'])
    },
  }
}
