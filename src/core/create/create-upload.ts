import { lengthOf, preferredConcatPartSize } from '../concatenation/concatenate.ts'
import type { EngineOptions } from '../engine-options.ts'
import { eventOf } from '../events.ts'
import { makeNamedKey, uniqueToken } from '../object-key.ts'
import type { Policy } from '../policy/policy.ts'
import type { Actor, CreateUpload, UploadRecord } from '../upload.ts'
import { newUpload } from './new-upload.ts'

/**
 * Makes the session of an upload that may begin, and records it: room is reserved from then on.
 * `repeated` are the uploads that earlier requests with the same words may have made.
 * @param partials of which a final upload will be made; `null` for any other
 * @throws UploadError from the rules, from who has the last word, QUOTA_EXCEEDED, RATE_LIMITED
 */
export async function createUpload(
  actor: Actor,
  creation: CreateUpload,
  partials: UploadRecord[] | null,
  policy: Policy,
  options: EngineOptions,
): Promise<{ session: UploadRecord; repeated: string[] }> {
  const { partSize, chunkSize, nameObject, newId } = options
  // Parts that divide what the partial uploads are long lie over no seam: then the store copies all of them.
  const whole = partials && { ...creation, size: lengthOf(partials), firstChunkSize: partials[0]?.size ?? undefined }
  const upload = newUpload(actor, whole ?? creation, {
    policy,
    rules: options.rules,
    contentRules: options.contentCheck?.rules,
    limits: options.store.limits,
    keyTemplate: options.keyTemplate,
    partSize: whole ? preferredConcatPartSize(whole.size, partSize) : partSize,
    chunkSize,
    newId,
    now: options.now,
  })
  const { filename, contentType, category } = upload
  const known = { ...creation, filename, contentType, category }
  await options.authorizer?.({ actor, action: 'create', creation: known })
  if (nameObject && creation.concat?.kind !== 'partial') {
    const unique = uniqueToken(newId)
    const name = await nameObject({ actor, creation: known, id: upload.id, unique })
    upload.key = makeNamedKey(name, upload.id, unique)
  }
  const repeated = await options.uploads.insert(upload, eventOf('upload.created', upload), policy, actor)
  return { session: upload, repeated }
}
