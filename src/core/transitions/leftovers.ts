import type { EngineContext } from '../engine-context.ts'
import type { Lease } from '../lease.ts'

/**
 * Removes the objects that the lease holder has dropped, beside the answer. Those that are removed before the lease is released need no
 * clean-up.
 */
export function removeDropped(context: EngineContext, { upload, ledger }: Lease): void {
  const keys = ledger.takeDropped()
  if (keys.length === 0) return
  const removed = remove(context, keys).then(() => ledger.removed(keys))
  context.background.runDetached(removed, {
    uploadId: upload.id,
    what: 'removing objects that are not needed any more',
  })
}

/** The same for all that a completed upload left, if the ledger has all of it: then the store need not be searched. */
export function removeLeftovers(context: EngineContext, { upload, ledger }: Lease): void {
  const keys = ledger.exactKeys()
  if (!upload.needsCleanup || keys === null) return
  upload.needsCleanup = false
  const removed = remove(context, keys).then(() => context.uploads.markCleanedUp(upload.id))
  context.background.runDetached(removed, { uploadId: upload.id, what: 'removing replaced tail objects' })
}

function remove({ store, memory }: EngineContext, keys: string[]): Promise<void> {
  memory.tails.drop(keys)
  return store.remove(keys)
}
