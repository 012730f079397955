import type { EngineContext } from '../engine-context.ts'
import { hasEnded, type UploadRecord } from '../upload.ts'
import { concatenated } from '../upload-state.ts'
import { freeStorage } from './clean-up.ts'
import { endUpload } from './end.ts'
import { withServerLock } from './server-lock.ts'

/**
 * Frees what a completed upload no longer needs: its tail objects, and the partial uploads that it was made of. An upload that is still
 * open is left as it is.
 */
export async function cleanUpAfter(context: EngineContext, upload: UploadRecord): Promise<void> {
  if (!hasEnded(upload)) return
  if (upload.needsCleanup) await freeStorage(context, upload)
  if (upload.kind !== 'final' || upload.state !== 'completed') return
  for (const id of new Set(upload.partials)) await endPartial(context, id)
}

/** A partial upload whose bytes are part of a file now is no longer needed. If this is cut off, it expires. */
async function endPartial(context: EngineContext, id: string): Promise<void> {
  const partial = await withServerLock(context, id, async (lease) => {
    if (lease.upload.state === 'completed') await endUpload(context, lease, 'cancelled', null, concatenated)
    return lease.upload
  })
  if (hasEnded(partial)) await freeStorage(context, partial)
}
