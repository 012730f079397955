import { assertNotDraining } from '../body/active-bodies.ts'
import { type EngineContext, senderOf } from '../engine-context.ts'
import { awaitCompletion, awaitFinish } from '../finish/await-completion.ts'
import { finishUpload } from '../finish/finish-upload.ts'
import type { Lease } from '../lease.ts'
import { cleanUpAfter } from '../transitions/clean-up-after.ts'
import { isLost, observeLoss } from '../transitions/loss.ts'
import type { Actor, Upload } from '../upload.ts'
import { assertId, toUpload } from '../upload-state.ts'
import { type Appended, appendUnderLease } from './append-under-lease.ts'
import { readRepeatedBody } from './repeated-creation.ts'
import type { AppendRequest } from './requests.ts'

/**
 * Appends a body to the upload, under its lease: see `Engine.append`. The last body finishes the upload under the same lease, unless
 * another request already waits for it: that one may then ask for the upload while the store makes the object.
 */
export async function append(
  context: EngineContext,
  actor: Actor,
  id: string,
  request: AppendRequest,
): Promise<Upload> {
  const { leases, authorization, bodies, background } = context
  assertNotDraining(bodies)
  assertId(id)
  const slot = bodies.gate.enter(senderOf(actor))
  const { repeats } = request
  if (repeats?.creationError) return readRepeatedBody(context, actor, request, repeats, slot).finally(slot.leave)

  const stored = Promise.withResolvers<'stored'>()
  const appending = leases.withLease(id, authorization.ownerCheck(actor, 'append'), async (lease) => {
    await authorization.authorize(actor, 'append', lease.upload)
    const { upload, parts } = await appendUnderLease(context, actor, lease, request, slot).catch(settleLoss(lease))
    if (upload.state !== 'finishing' || lease.isReleased) return upload
    stored.resolve('stored')
    await finishUpload(context, lease, actor, parts)
    return upload
  })
  // The body keeps its place among all bodies only until its bytes are stored.
  const upload = await Promise.race([appending, stored.promise]).finally(slot.leave)

  if (upload === 'stored') return awaitFinish(context, id, appending)
  if (upload.state === 'finishing') return awaitCompletion(context, upload.id, actor, 'append')
  if (upload.state === 'completed')
    background.runDetached(cleanUpAfter(context, upload), { uploadId: id, what: 'cleaning up' })
  return toUpload(upload)

  /** The answer when the store says that something of the upload is gone. */
  function settleLoss(lease: Lease) {
    return async (error: unknown): Promise<Appended> => {
      if (!isLost(error)) throw error
      await observeLoss(context, lease, error, actor)
      return { upload: lease.upload, parts: null }
    }
  }
}
