import { authorizeCollection } from '../access/access.ts'
import { assertNotDraining } from '../body/active-bodies.ts'
import { type EngineContext, senderOf } from '../engine-context.ts'
import type { Actor } from '../upload.ts'
import { lostAnswersMarked } from './lost-creations.ts'

/**
 * What every creation passes before any work is done for it.
 * @throws UploadError OVERLOADED, FORBIDDEN, UNAUTHENTICATED, STORE_UNAVAILABLE, and what the operator's check throws
 */
export async function admitCreation(context: EngineContext, actor: Actor): Promise<void> {
  const { bodies } = context
  assertNotDraining(bodies)
  // The gate would refuse its bytes as well.
  bodies.gate.check(senderOf(actor))
  context.checkCreation(actor)
  authorizeCollection(actor, 'create')
  await context.confirmStore()
  await lostAnswersMarked(context)
}
