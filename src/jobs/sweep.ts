import type { RunningEngine } from '../core/engine.ts'
import { isUploadError } from '../core/errors/error.ts'
import type { ObjectStore } from '../core/ports/object-store.ts'
import type { UploadRepository } from '../core/ports/uploads.ts'
import { findOrphans } from '../core/transitions/clean-up.ts'
import { processInPages } from './process-in-pages.ts'
import { endedWithTailObjects } from './sweep-orphans.ts'

const pageSize = 500

export interface Sweep {
  expired: number
  cleaned: number
  /** Objects of deleted files whose grace period was over. */
  deleted: number
}

/**
 * Expires uploads that are past their time, removes what ended uploads left in the store, and deletes the objects of deleted files.
 * It only touches keys of uploads in our own database: other objects in the bucket are not ours.
 */
export async function sweep(engine: RunningEngine, uploads: UploadRepository, now: Date): Promise<Sweep> {
  const expired = await processInPages(
    (tried) => uploads.findExpired(now, pageSize + tried),
    async (id) => Boolean(await engine.expire(id).catch(skipIfLocked)),
  )
  const cleaned = await processInPages(
    (tried) => uploads.findNeedingCleanup(pageSize + tried),
    async (id) => {
      await engine.cleanUp(id)
      return true
    },
  )
  const deleted = await processInPages(
    (tried) => uploads.findDeletionsDue(now, pageSize + tried),
    async (id) => Boolean(await engine.deleteObject(id).catch(skipIfLocked)),
  )
  return { expired, cleaned, deleted }
}

function skipIfLocked(error: unknown): false {
  if (isUploadError(error, 'UPLOAD_LOCKED')) return false
  throw error
}

/** A dry run of `sweep` and `sweepOrphans`: the ids that would expire and the keys that would be removed. */
export async function previewSweep(
  uploads: UploadRepository,
  store: ObjectStore,
  now: Date,
): Promise<{ expired: string[]; orphans: string[] }> {
  const orphans: string[] = []
  const expired = await uploads.findExpired(now, pageSize)
  const ids = new Set([...expired, ...(await uploads.findNeedingCleanup(pageSize))])
  for await (const id of endedWithTailObjects(uploads, store)) ids.add(id)
  for (const id of ids) {
    const upload = await uploads.find(id)
    if (upload) orphans.push(...(await findOrphans(upload, store)))
  }
  return { expired, orphans }
}
