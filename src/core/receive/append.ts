import { assertNotDraining } from '../body/active-bodies.ts'
import { type EngineContext, senderOf } from '../engine-context.ts'
import { awaitCompletion } from '../finish/await-completion.ts'
import { cleanUpAfter } from '../transitions/clean-up-after.ts'
import { isLost, observeLoss } from '../transitions/loss.ts'
import type { Actor, Upload } from '../upload.ts'
import { assertId, toUpload } from '../upload-state.ts'
import { appendUnderLease } from './append-under-lease.ts'
import { readRepeatedBody } from './repeated-creation.ts'
import type { AppendRequest } from './requests.ts'

/**
 * Appends a body to the upload, under its lease: see `Engine.append`. The store makes the object outside the lease, so that another
 * request may ask for the upload meanwhile.
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

  const upload = await leases
    .withLease(id, authorization.ownerCheck(actor, 'append'), async (lease) => {
      await authorization.authorize(actor, 'append', lease.upload)
      return appendUnderLease(context, actor, lease, request, slot).catch(async (error: unknown) => {
        if (!isLost(error)) throw error
        await observeLoss(context, lease, error, actor)
        return lease.upload
      })
    })
    .finally(slot.leave)

  if (upload.state === 'finishing') return awaitCompletion(context, upload.id, actor, 'append')
  if (upload.state === 'completed')
    background.runDetached(cleanUpAfter(context, upload), { uploadId: id, what: 'cleaning up' })
  return toUpload(upload)
}
