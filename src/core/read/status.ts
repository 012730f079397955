import { isOwner } from '../access/access.ts'
import { isAwaitingPartials } from '../concatenation/final-uploads.ts'
import { atContiguousOffset } from '../contiguous-offset.ts'
import type { EngineContext } from '../engine-context.ts'
import { awaitCompletion } from '../finish/await-completion.ts'
import { statusOfFinal } from '../finish/status-of-final.ts'
import { type Actor, hasEveryByte, type Upload } from '../upload.ts'
import { assertActive, assertId, toUpload } from '../upload-state.ts'
import { findUpload } from './find-upload.ts'
import { asRecorded } from './get.ts'

/** The offset at which the client may continue; the lock holder is asked to save first: see `Engine.status`. */
export async function status(
  context: EngineContext,
  actor: Actor,
  id: string,
  ending: 'at-size' | 'later' = 'at-size',
): Promise<Upload> {
  const { leases, authorization, uploads, now } = context
  assertId(id)
  if (actor.isAdmin) {
    const found = await findUpload(context, actor, id, 'read')
    if (!isOwner(actor, found)) {
      assertActive(found, now())
      return asRecorded(context, found)
    }
  }
  const released = await leases.waitForRelease(id, authorization.ownerCheck(actor, 'read'))
  await authorization.authorize(actor, 'read', released)
  assertActive(released, now())
  if (isAwaitingPartials(released)) return statusOfFinal(context, actor, released)
  const upload = await atContiguousOffset(released, uploads)
  assertActive(upload, now())
  const isWhole = upload.state === 'receiving' && ending === 'at-size' && hasEveryByte(upload)
  const mustFinish = upload.state === 'finishing' || isWhole
  return mustFinish ? awaitCompletion(context, id, actor, 'read') : toUpload(upload)
}
