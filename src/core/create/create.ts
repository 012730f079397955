import { ownerOfActor } from '../access/access.ts'
import { findPartials } from '../concatenation/concatenate.ts'
import { type EngineContext, policyOf } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import { awaitCompletion } from '../finish/await-completion.ts'
import { status } from '../read/status.ts'
import { findRepeated, hashOfBody } from '../receive/repeated-creation.ts'
import { replaceUpload } from '../transitions/end.ts'
import type { Actor, CreateUpload, FinalUpload, Upload, UploadRecord } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { admitCreation } from './admit.ts'
import { insertUpload, prepareUpload } from './insert-upload.ts'
import { findRepetition, insertInPlaceOfLost } from './lost-creations.ts'

/** Creates an upload: see `Engine.create`. */
export async function create(context: EngineContext, actor: Actor, creation: CreateUpload): Promise<Upload> {
  await admitCreation(context, actor)
  if (creation.kind === 'final') return createFinal(context, actor, creation)

  const isWhole = creation.size === 0 && creation.ending !== 'later'
  const prepared = await prepareUpload(context, actor, creation, null, policyOf(context, actor))
  const { upload, repeated } = await insertInPlaceOfLost(context, actor, creation, prepared).catch(
    async (error: unknown) => {
      // Where the quota has no room for an empty file, it may still be the repetition of an earlier one.
      const repetition = isWhole ? await findRepetition(context, actor, creation, error) : null
      const earlier = repetition && (await findRepeated(context, actor, repetition.repeats.ids, emptyBody()))
      if (!earlier) throw error
      return { upload: earlier, repeated: null }
    },
  )
  if (repeated === null || !isWhole) return toUpload(upload)
  const earlier = await findRepeated(context, actor, repeated, emptyBody())
  if (!earlier) return awaitCompletion(context, upload.id, actor)
  await replaceUpload(context, upload.id, 0, actor)
  return toUpload(earlier)
}

function emptyBody() {
  return { size: 0, sha256: hashOfBody().digest('base64') }
}

/** A client that did not receive the answer asks again for the file that is made of the same partial uploads. */
async function createFinal(
  context: EngineContext,
  actor: Actor,
  creation: CreateUpload & FinalUpload,
): Promise<Upload> {
  const { uploads, now } = context
  const findSame = () => uploads.findFinal(ownerOfActor(actor), creation.partials)
  const same = await findSame()
  if (same) return status(context, actor, same)
  try {
    const partials: UploadRecord[] = await findPartials(actor, creation.partials, uploads, now())
    const prepared = await prepareUpload(context, actor, creation, partials, policyOf(context, actor))
    const { upload } = await insertUpload(context, actor, prepared)
    return await status(context, actor, upload.id)
  } catch (error) {
    // Another request for the same file may have completed it since, and its partial uploads have ended with that.
    const made = isUploadError(error, 'UPLOAD_GONE') ? await findSame() : null
    if (!made) throw error
    return status(context, actor, made)
  }
}
