import { authorizeCollection, ownerOfActor } from '../access/access.ts'
import { assertNotDraining } from '../body/active-bodies.ts'
import { findPartials } from '../concatenation/concatenate.ts'
import { type EngineContext, policyOf, senderOf } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import { awaitCompletion } from '../finish/await-completion.ts'
import { status } from '../read/status.ts'
import { findRepeated, hashOfBody } from '../receive/repeated-creation.ts'
import type { CreatedUpload } from '../receive/requests.ts'
import { replaceUpload } from '../transitions/end.ts'
import type { Actor, CreateUpload, FinalUpload } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { insertUpload } from './insert-upload.ts'
import { findRepetition, lostAnswersMarked, replaceLostCreation } from './lost-creations.ts'

/** Creates an upload: see `Engine.create`. */
export async function create(context: EngineContext, actor: Actor, creation: CreateUpload): Promise<CreatedUpload> {
  const { bodies } = context
  assertNotDraining(bodies)
  // The gate would refuse its bytes as well.
  bodies.gate.check(senderOf(actor))
  context.checkCreation(actor)
  authorizeCollection(actor, 'create')
  await context.confirmStore()
  if (creation.kind === 'final') return createFinal(context, actor, creation)

  await lostAnswersMarked(context)
  const insert = () => insertUpload(context, actor, creation, null, policyOf(context, actor))
  const created = await insert().catch(async (error: unknown) => {
    if (await replaceLostCreation(context, actor, creation, error)) return insert()
    const repetition = await findRepetition(context, actor, creation, error)
    if (!repetition) throw error
    return repetition
  })
  // The quota has no room for it; its body will show whether it is the repetition of an earlier upload.
  if ('repeats' in created) {
    const { upload, repeats } = created
    return { ...toUpload(upload), id: context.newId(), state: 'receiving', offset: 0, repeats }
  }
  const { upload, repeated } = created
  if (upload.size === 0 && creation.ending !== 'later') {
    const earlier = await findRepeated(context, actor, repeated, { size: 0, sha256: hashOfBody().digest('base64') })
    if (!earlier) return awaitCompletion(context, upload.id, actor)
    await replaceUpload(context, upload.id, 0, actor)
    return toUpload(earlier)
  }
  const mayRepeat = creation.withBody && repeated.length > 0
  return { ...toUpload(upload), ...(mayRepeat && { repeats: { ids: repeated, creationError: null } }) }
}

/** A client that did not receive the answer asks again for the file that is made of the same partial uploads. */
async function createFinal(
  context: EngineContext,
  actor: Actor,
  creation: CreateUpload & FinalUpload,
): Promise<CreatedUpload> {
  const { uploads, now } = context
  const findSame = () => uploads.findFinal(ownerOfActor(actor), creation.partials)
  const same = await findSame()
  if (same) return status(context, actor, same)
  try {
    const partials = await findPartials(actor, creation.partials, uploads, now())
    const { upload } = await insertUpload(context, actor, creation, partials, policyOf(context, actor))
    return await status(context, actor, upload.id)
  } catch (error) {
    // Another request for the same file may have completed it since, and its partial uploads have ended with that.
    const made = isUploadError(error, 'UPLOAD_GONE') ? await findSame() : null
    if (!made) throw error
    return status(context, actor, made)
  }
}
