import type { RunningEngine } from '../core/engine.ts'
import { isUploadError } from '../core/errors/error.ts'
import type { UploadRepository } from '../core/ports.ts'
import { processInPages } from './process-in-pages.ts'

// An answer may be waiting for it right now: those need no help.
const idleMs = 10_000
const atOnce = 100
// The upload has failed, and that is an end as well.
const ends = ['UPLOAD_LOST', 'UPLOAD_GONE', 'CHECKSUM_MISMATCH', 'TYPE_NOT_ALLOWED', 'CATEGORY_NOT_ALLOWED'] as const

/**
 * Finishes uploads that were left in `finishing` and that nobody asks for any more. Returns how many came to an end;
 * those the store could not finish yet stay for the next run.
 */
export async function finishUploads(engine: RunningEngine, uploads: UploadRepository): Promise<number> {
  return processInPages(
    (tried) => uploads.findUnfinished(idleMs, atOnce + tried),
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
