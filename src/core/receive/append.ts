import { assertNotDraining } from '../body/active-bodies.ts'
import { type EngineContext, senderOf } from '../engine-context.ts'
import { recordThenFinish } from '../finish/record-then-finish.ts'
import { isLost, observeLoss } from '../transitions/loss.ts'
import type { Actor, Upload } from '../upload.ts'
import { assertId } from '../upload-state.ts'
import { appendUnderLease } from './append-under-lease.ts'
import { readRepeatedBody } from './repeated-creation.ts'
import type { AppendRequest } from './requests.ts'

/** Appends a body to the upload, under its lease, and finishes the upload when it was the last one: see `Engine.append`. */
export async function append(
  context: EngineContext,
  actor: Actor,
  id: string,
  request: AppendRequest,
): Promise<Upload> {
  const { authorization, bodies } = context
  assertNotDraining(bodies)
  assertId(id)
  const slot = bodies.gate.enter(senderOf(actor))
  const { repeats } = request
  if (repeats?.creationError) return readRepeatedBody(context, actor, request, repeats, slot).finally(slot.leave)

  // The body keeps its place among all bodies only until its bytes are recorded.
  return recordThenFinish(
    context,
    actor,
    id,
    'append',
    async (lease) => {
      await authorization.authorize(actor, 'append', lease.upload)
      return appendUnderLease(context, actor, lease, request, slot).catch(async (error: unknown) => {
        if (!isLost(error)) throw error
        await observeLoss(context, lease, error, actor)
        return { upload: lease.upload, parts: null }
      })
    },
    slot.leave,
  )
}
