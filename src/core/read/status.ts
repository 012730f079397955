import { isOwner } from '../access/access.ts'
import { isAwaitingPartials } from '../concatenation/final-uploads.ts'
import type { EngineContext } from '../engine-context.ts'
import { awaitCompletion } from '../finish/await-completion.ts'
import { statusOfFinal } from '../finish/status-of-final.ts'
import { type Actor, hasEveryByte, type Upload } from '../upload.ts'
import { assertActive, assertId, toUpload } from '../upload-state.ts'
import { findUpload } from './find-upload.ts'

/** The offset at which the client may continue; the lock holder is asked to save first: see `Engine.status`. */
export async function status(
  context: EngineContext,
  actor: Actor,
  id: string,
  ending: 'at-size' | 'later' = 'at-size',
): Promise<Upload> {
  const { leases, authorization, now } = context
  assertId(id)
  if (actor.isAdmin) {
    const found = await findUpload(context, actor, id, 'read')
    if (!isOwner(actor, found)) {
      assertActive(found, now())
      return toUpload(found)
    }
  }
  const upload = await leases.readReleased(id, authorization.ownerCheck(actor, 'read'))
  await authorization.authorize(actor, 'read', upload)
  assertActive(upload, now())
  if (isAwaitingPartials(upload)) return statusOfFinal(context, actor, upload)
  const isWhole = upload.state === 'receiving' && ending === 'at-size' && hasEveryByte(upload)
  const mustFinish = upload.state === 'finishing' || isWhole
  return mustFinish ? awaitCompletion(context, id, actor, 'read') : toUpload(upload)
}
