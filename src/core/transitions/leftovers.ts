import type { EngineContext } from '../engine-context.ts'
import type { Lease } from '../lease.ts'

/** Removes objects that no row names, beside the answer. `whenRemoved` is called when the store has none of them any more. */
export function removeObjects(
  { store, memory, background }: EngineContext,
  uploadId: string,
  keys: string[],
  whenRemoved: () => void | Promise<void> = () => {},
): void {
  memory.tails.drop(keys)
  background.runDetached(store.remove(keys).then(whenRemoved), {
    uploadId,
    what: 'removing objects that are not needed any more',
  })
}

/** Removes the objects that the lease holder has dropped. Those that are removed before the lease is released need no clean-up. */
export function removeDropped(context: EngineContext, { upload, ledger }: Lease): void {
  const keys = ledger.takeDropped()
  if (keys.length > 0) removeObjects(context, upload.id, keys, () => ledger.removed(keys))
}

/** Removes all that a completed upload left, if the ledger has all of it: then the store need not be searched. */
export function removeLeftovers(context: EngineContext, { upload, ledger }: Lease): void {
  const keys = ledger.exactKeys()
  if (!upload.needsCleanup || keys === null) return
  upload.needsCleanup = false
  removeObjects(context, upload.id, keys, () => context.uploads.markCleanedUp(upload.id))
}
