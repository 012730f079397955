import { assertNotDraining } from '../body/active-bodies.ts'
import type { BodySlot } from '../body/body-gate.ts'
import { type EngineContext, senderOf } from '../engine-context.ts'
import { type Recorded, recordThenFinish } from '../finish/record-then-finish.ts'
import type { Lease } from '../lease.ts'
import { isLost, observeLoss } from '../transitions/loss.ts'
import type { Actor, Upload } from '../upload.ts'
import { assertId } from '../upload-state.ts'
import { appendUnderLease } from './append-under-lease.ts'
import type { AppendRequest, Repeat } from './requests.ts'

/** Appends a body to the upload, under its lease, and finishes the upload when it was the last one: see `Engine.append`. */
export async function append(
  context: EngineContext,
  actor: Actor,
  id: string,
  request: AppendRequest,
): Promise<Upload> {
  const { leases, authorization, bodies } = context
  assertNotDraining(bodies)
  assertId(id)
  const slot = bodies.gate.enter(senderOf(actor))
  // The body keeps its place among all bodies only until its bytes are recorded.
  return recordThenFinish(
    context,
    actor,
    {
      id,
      action: 'append',
      withLease: (work) => leases.withLease(id, authorization.ownerCheck(actor, 'append'), work),
      record: (lease) => appendWithLease(context, actor, lease, request, null, slot),
    },
    slot.leave,
  )
}

/**
 * Appends a body to the upload whose lease is held, if the authorizer allows it: see `appendUnderLease`.
 * @param repeats the earlier uploads that the same body may have made; `null`: none
 */
export async function appendWithLease(
  context: EngineContext,
  actor: Actor,
  lease: Lease,
  request: AppendRequest,
  repeats: Repeat | null,
  slot: BodySlot,
): Promise<Recorded> {
  await context.authorization.authorize(actor, 'append', lease.upload)
  return appendUnderLease(context, actor, lease, request, repeats, slot).catch(async (error: unknown) => {
    if (!isLost(error)) throw error
    await observeLoss(context, lease, error, actor)
    return { upload: lease.upload, parts: null }
  })
}
