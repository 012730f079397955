import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import { type Actor, hasEnded } from '../upload.ts'
import { assertId } from '../upload-state.ts'
import { failUpload } from './fail.ts'
import { observeObject } from './loss.ts'
import { withServerLock } from './server-lock.ts'

/**
 * Removes the object of an upload that was deleted, if DELETE_GRACE is over; for the sweeper. It holds the lease, so that a deletion and
 * `restore` never meet. False when it is not due, or not any more.
 */
export function deleteObject(context: EngineContext, id: string): Promise<boolean> {
  return withServerLock(context, id, async (lease) => {
    const { state, deleteDueAt, key } = lease.upload
    const isDue = deleteDueAt !== null && deleteDueAt <= context.now()
    if (state === 'completed' || !hasEnded(lease.upload) || !isDue) return false
    await context.store.remove([key])
    await lease.save({ deleteDueAt: null, release: true })
    return true
  })
}

/** Makes a deleted or lost upload complete again, if its object is there: see `RunningEngine.restore`. */
export function restore(context: EngineContext, id: string, by: Actor): Promise<void> {
  assertId(id)
  return withServerLock(context, id, async (lease) => {
    const { state, failure, deleteDueAt, completedAt, key } = lease.upload
    const isDeleted = state === 'cancelled' && deleteDueAt !== null
    const isLost = state === 'failed' && failure === 'lost'
    if (completedAt === null || !(isDeleted || isLost)) throw errors.notRestorable()
    if ((await context.store.stat(key)) === null) throw errors.notRestorable()
    await lease.save({ state: 'completed', by, deleteDueAt: null, lossSeenAt: null, release: true })
  })
}

/** Looks for the object of a completed upload: see `RunningEngine.observeFile`. */
export function observeFile(context: EngineContext, id: string, by: Actor): Promise<'there' | 'missing' | 'ended'> {
  return withServerLock(context, id, async (lease) => {
    if (lease.upload.state !== 'completed') return 'there'
    const seen = await observeObject(context, lease)
    if (seen !== 'lost') return seen
    // Failed and not cancelled: the sweeper deletes the object of a cancelled upload, and if it comes back it may be the only copy.
    await failUpload(lease, 'lost', by)
    return 'ended'
  })
}
