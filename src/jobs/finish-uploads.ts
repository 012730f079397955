import type { RunningEngine } from '../core/engine.ts'
import { isUploadError } from '../core/errors/error.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
import { processInPages } from './process-in-pages.ts'

// An upload that changed more recently may be finishing in a request.
const idleMs = 10_000
const pageSize = 100
// With these errors the upload has failed, which ends it too.
const ends = ['UPLOAD_LOST', 'UPLOAD_GONE', 'CHECKSUM_MISMATCH', 'TYPE_NOT_ALLOWED', 'CATEGORY_NOT_ALLOWED'] as const

/**
 * Finishes uploads that a request left in `finishing`. Returns how many ended; those that the store could not complete yet stay for the
 * next run.
 */
export async function finishUploads(engine: RunningEngine, uploads: UploadRepository): Promise<number> {
  return processInPages(
    (tried) => uploads.findUnfinished(idleMs, pageSize + tried),
    async (id) => {
      try {
        await engine.finish(id)
        return true
      } catch (error) {
        if (isUploadError(error, ...ends)) return true
        if (isUploadError(error, 'STORE_UNAVAILABLE', 'UPLOAD_LOCKED')) return false
        throw error
      }
    },
  )
}
