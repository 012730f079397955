import type { Action } from '../access/actions.ts'
import type { EngineContext } from '../engine-context.ts'
import type { Lease } from '../lease.ts'
import { cleanUpAfter } from '../transitions/clean-up-after.ts'
import type { Actor, StoredPart, Upload, UploadRecord } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { awaitCompletion, awaitFinish } from './await-completion.ts'
import { finishUpload } from './finish-upload.ts'

/** What a lease holder has recorded. */
export interface Recorded {
  upload: UploadRecord
  /** All parts of an upload that is `finishing`, when they need not be read and there is no tail; otherwise `null`. */
  parts: StoredPart[] | null
}

/** What is done under the lease of an upload. */
export interface Recording {
  id: string
  action: Action
  /** Runs its argument with the lease. */
  withLease(work: (lease: Lease) => Promise<UploadRecord>): Promise<UploadRecord>
  record(lease: Lease): Promise<Recorded>
}

/**
 * Runs `record` under the lease of the upload. When it leaves the upload `finishing`, the same lease finishes it, and the answer waits as
 * in `awaitCompletion`. When it has released the lease, because another request waits for it, the upload is finished in turn: that request
 * can then ask for the upload while the store makes the object.
 * @param onRecorded called once, when nothing more is recorded, also when `record` fails
 * @throws what `record` throws, and as `awaitCompletion`
 */
export async function recordThenFinish(
  context: EngineContext,
  actor: Actor,
  { id, action, withLease, record }: Recording,
  onRecorded: () => void = () => {},
): Promise<Upload> {
  const recorded = Promise.withResolvers<'recorded'>()
  const working = withLease(async (lease) => {
    const { upload, parts } = await record(lease)
    if (upload.state !== 'finishing' || lease.isReleased) return upload
    recorded.resolve('recorded')
    await finishUpload(context, lease, actor, parts)
    return upload
  })
  const upload = await Promise.race([working, recorded.promise]).finally(onRecorded)

  if (upload === 'recorded') return awaitFinish(context, id, working)
  if (upload.state === 'finishing') return awaitCompletion(context, upload.id, actor, action)
  if (upload.state === 'completed')
    context.background.runDetached(cleanUpAfter(context, upload), { uploadId: id, what: 'cleaning up' })
  return toUpload(upload)
}
