import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { Actor } from '../upload.ts'
import { freeStorage, mayKeepObject } from './clean-up.ts'
import { endFor, endUpload } from './end.ts'
import { completeIfWhole } from './loss.ts'
import { withServerLock } from './server-lock.ts'

/** Ends an unfinished upload as if its time were over: see `Engine.expireAsAdmin`. */
export function expireAsAdmin(context: EngineContext, actor: Actor, id: string): Promise<void> {
  return endFor(context, actor, id, 'expire', 'expired', ({ state }) => {
    if (state === 'completed') throw errors.uploadCompleted()
    if (state === 'finishing') throw errors.stillFinishing()
  })
}

/** Ends an upload whose time is over and frees its storage; for the sweeper. False when it went on meanwhile. */
export async function expire(context: EngineContext, id: string): Promise<boolean> {
  const ended = await withServerLock(context, id, async (lease) => {
    const { state, expiresAt } = lease.upload
    // Of completed uploads only a partial one that was never concatenated has an expiry.
    const mayExpire = state === 'receiving' || state === 'completed'
    if (!mayExpire || expiresAt === null || expiresAt > context.now()) return null
    // The answer that said so was lost, or the row is of an older database: a file that has arrived does not expire.
    if (state === 'receiving' && mayKeepObject(lease.upload) && (await completeIfWhole(context, lease, null)))
      return null
    return endUpload(context, lease, 'expired', null)
  })
  if (ended?.partsReleased) await freeStorage(context, ended.upload)
  return ended !== null
}
