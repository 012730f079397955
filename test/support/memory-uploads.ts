import type { UploadPatch } from '../../src/core/ports/uploads.ts'
import type { UploadRecord } from '../../src/core/upload.ts'
import { memoryUploads as emptyUploads, type MemoryUploads } from '../../src/testing/uploads/memory-uploads.ts'
import { uploadRecord } from './upload-record.ts'

/** Uploads in memory. `calls` lists the writes of lease holders, in order. */
export interface WatchedUploads extends MemoryUploads {
  readonly calls: [call: string, patch?: UploadPatch][]
  create(more?: Partial<UploadRecord>): Promise<string>
  /** Lets the lease of `id` expire, and another holder take it. */
  takeOver(id: string): Promise<void>
}

export function memoryUploads(): WatchedUploads {
  const uploads = emptyUploads()
  const { leases } = uploads
  const calls: WatchedUploads['calls'] = []
  return {
    ...uploads,
    calls,
    async create(more) {
      const upload = uploadRecord(more)
      await uploads.insert(upload, undefined)
      return upload.id
    },
    async takeOver(id) {
      const { token } = (await leases.find(id))!
      if (token) await leases.renew([{ id, token }], -1)
      await leases.acquire({ id, token: 'the token of another holder' }, 60_000)
    },
    save(upload, fence, patch) {
      calls.push(['save', patch])
      return uploads.save(upload, fence, patch)
    },
    markNeedsCleanup(id, token) {
      calls.push(['markNeedsCleanup'])
      return uploads.markNeedsCleanup(id, token)
    },
    shrinkReservation(id) {
      calls.push(['shrinkReservation'])
      return uploads.shrinkReservation(id)
    },
  }
}
