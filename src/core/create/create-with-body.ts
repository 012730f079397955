import { type EngineContext, policyOf, senderOf } from '../engine-context.ts'
import { recordThenFinish } from '../finish/record-then-finish.ts'
import { appendWithLease } from '../receive/append.ts'
import { readRepeatedBody } from '../receive/repeated-creation.ts'
import type { AppendRequest, CreatedUpload } from '../receive/requests.ts'
import type { Actor, CreateUpload, SentUpload, Upload } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { admitCreation } from './admit.ts'
import { prepareUpload } from './insert-upload.ts'
import { findRepetition, insertInPlaceOfLost } from './lost-creations.ts'

/**
 * Creates an upload and appends the body that came with the request, under a lease that is held from the moment at which the row is
 * there: no other request can learn an offset that this body then changes. See `Engine.createWithBody`.
 */
export async function createWithBody(
  context: EngineContext,
  owner: Actor,
  creation: CreateUpload & Partial<SentUpload>,
  receive: (created: CreatedUpload) => AppendRequest | Promise<AppendRequest>,
  sender: Actor = owner,
): Promise<Upload> {
  await admitCreation(context, owner)
  const { leases, authorization, bodies } = context
  const prepared = await prepareUpload(context, owner, creation, null, policyOf(context, owner))
  const { id } = prepared.upload
  /** The earlier uploads that the body may repeat; `null`: the row is not inserted. */
  let repeated = null as string[] | null
  try {
    return await recordThenFinish(context, sender, {
      id,
      action: 'append',
      withLease: (work) =>
        leases.withNewLease(
          id,
          async (lock) => {
            const inserted = await insertInPlaceOfLost(context, owner, creation, prepared, lock)
            repeated = inserted.repeated
            return inserted.upload
          },
          work,
        ),
      async record(lease) {
        const repeats = repeated!.length > 0 ? { ids: repeated!, creationError: null } : null
        authorization.ownerCheck(sender, 'append')(lease.upload)
        const request = await receive({ ...toUpload(lease.upload), mayRepeat: repeats !== null })
        const slot = bodies.gate.enter(senderOf(sender))
        return appendWithLease(context, sender, lease, request, repeats, slot).finally(slot.leave)
      },
    })
  } catch (error) {
    const repetition = repeated === null ? await findRepetition(context, owner, creation, error) : null
    if (!repetition) throw error
    // The quota has no room for it; its body will show whether it is the repetition of an earlier upload.
    const { upload, repeats } = repetition
    const request = await receive({ ...toUpload(upload), id, state: 'receiving', offset: 0, mayRepeat: true })
    const slot = bodies.gate.enter(senderOf(sender))
    return readRepeatedBody(context, sender, request, repeats, slot).finally(slot.leave)
  }
}
