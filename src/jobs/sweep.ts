import type { RunningEngine } from '../core/engine.ts'
import { isRefusal } from '../core/errors.ts'
import { findLitter } from '../core/finish/clean-up.ts'
import type { ObjectStore, Sessions } from '../core/ports.ts'
import { pageByPage } from './page-by-page.ts'
import { endedWithPieces } from './sweep-orphans.ts'

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
export async function sweep(engine: RunningEngine, sessions: Sessions, now: Date): Promise<Sweep> {
  const expired = await pageByPage(
    (tried) => sessions.expired(now, atOnce + tried),
    async (id) => Boolean(await engine.expire(id).catch(laterIfBusy)),
  )
  const cleaned = await pageByPage(
    (tried) => sessions.dirty(atOnce + tried),
    async (id) => {
      await engine.clean(id)
      return true
    },
  )
  const deleted = await pageByPage(
    (tried) => sessions.deletionsDue(now, atOnce + tried),
    async (id) => Boolean(await engine.deleteObject(id).catch(laterIfBusy)),
  )
  return { expired, cleaned, deleted }
}

function laterIfBusy(error: unknown): false {
  if (isRefusal(error, 'UPLOAD_LOCKED')) return false
  throw error
}

/** What `sweep` and `sweepOrphans` would do, without doing it: ids, and the keys that would be removed. */
export async function previewSweep(
  sessions: Sessions,
  store: ObjectStore,
  now: Date,
): Promise<{ expired: string[]; litter: string[] }> {
  const litter: string[] = []
  const expired = await sessions.expired(now, atOnce)
  const ids = new Set([...expired, ...(await sessions.dirty(atOnce))])
  for await (const id of endedWithPieces(sessions, store)) ids.add(id)
  for (const id of ids) {
    const session = await sessions.find(id)
    if (session) litter.push(...(await findLitter(session, store)))
  }
  return { expired, litter }
}
