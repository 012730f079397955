import type { RunningEngine } from '../core/engine.ts'
import { isRefusal } from '../core/errors.ts'
import type { Sessions } from '../core/ports.ts'
import { pageByPage } from './page-by-page.ts'

// An answer may be waiting for it right now: those need no help.
const idleMs = 10_000
const atOnce = 100
// The upload has failed, and that is an end as well.
const ends = ['UPLOAD_LOST', 'UPLOAD_GONE', 'CHECKSUM_MISMATCH', 'TYPE_NOT_ALLOWED', 'CATEGORY_NOT_ALLOWED'] as const

/**
 * Finishes uploads that were left in `finishing` and that nobody asks for any more. Returns how many came to an end;
 * those the store could not finish yet stay for the next run.
 */
export async function finishUploads(engine: RunningEngine, sessions: Sessions): Promise<number> {
  return pageByPage(
    (tried) => sessions.unfinished(idleMs, atOnce + tried),
    async (id) => {
      try {
        await engine.finish(id)
        return true
      } catch (error) {
        if (isRefusal(error, ...ends)) return true
        if (isRefusal(error, 'STORE_UNAVAILABLE', 'UPLOAD_LOCKED')) return false
        throw error
      }
    },
  )
}
