import type { RunningEngine } from '../core/engine.ts'
import { isRefusal } from '../core/errors.ts'
import type { Sessions } from '../core/ports.ts'

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
  let finished = 0
  for (const id of await sessions.unfinished(idleMs, atOnce)) {
    try {
      await engine.finish(id)
      finished += 1
    } catch (error) {
      if (isRefusal(error, ...ends)) finished += 1
      else if (!isRefusal(error, 'STORE_UNAVAILABLE', 'UPLOAD_LOCKED')) throw error
    }
  }
  return finished
}
