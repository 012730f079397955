import type { RunningEngine } from '../core/engine.ts'
import { isUploadError } from '../core/errors/error.ts'
import type { ObjectStore, UploadRepository } from '../core/ports.ts'
import { findOrphans } from '../core/transitions/clean-up.ts'
import { processInPages } from './process-in-pages.ts'
import { endedWithTailObjects } from './sweep-orphans.ts'

const atOnce = 500

export interface Sweep {
  expired: number
  cleaned: number
  /** Objects of files that were deleted when their time of grace was over. */
  deleted: number
}

/**
 * Ends uploads whose time has run out and frees what ended uploads left in the store. It looks only for what belongs to
 * ids in our own sessions, under their own keys: whatever else is in the bucket is not ours to touch.
 */
export async function sweep(engine: RunningEngine, uploads: UploadRepository, now: Date): Promise<Sweep> {
  const expired = await processInPages(
    (tried) => uploads.findExpired(now, atOnce + tried),
    async (id) => Boolean(await engine.expire(id).catch(skipIfLocked)),
  )
  const cleaned = await processInPages(
    (tried) => uploads.findNeedingCleanup(atOnce + tried),
    async (id) => {
      await engine.cleanUp(id)
      return true
    },
  )
  const deleted = await processInPages(
    (tried) => uploads.findDeletionsDue(now, atOnce + tried),
    async (id) => Boolean(await engine.deleteObject(id).catch(skipIfLocked)),
  )
  return { expired, cleaned, deleted }
}

function skipIfLocked(error: unknown): false {
  if (isUploadError(error, 'UPLOAD_LOCKED')) return false
  throw error
}

/** What `sweep` and `sweepOrphans` would do, without doing it: ids, and the keys that would be removed. */
export async function previewSweep(
  uploads: UploadRepository,
  store: ObjectStore,
  now: Date,
): Promise<{ expired: string[]; litter: string[] }> {
  const orphans: string[] = []
  const expired = await uploads.findExpired(now, atOnce)
  const ids = new Set([...expired, ...(await uploads.findNeedingCleanup(atOnce))])
  for await (const id of endedWithTailObjects(uploads, store)) ids.add(id)
  for (const id of ids) {
    const upload = await uploads.find(id)
    if (upload) orphans.push(...(await findOrphans(upload, store)))
  }
  return { expired, litter: orphans }
}
