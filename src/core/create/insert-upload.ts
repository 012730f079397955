import { lengthOf, preferredConcatPartSize } from '../concatenation/concatenate.ts'
import type { EngineContext } from '../engine-context.ts'
import { eventOf } from '../events.ts'
import { makeNamedKey, uniqueToken } from '../object-key.ts'
import type { Policy } from '../policy/policy.ts'
import type { Actor, CreateUpload, UploadRecord } from '../upload.ts'
import { newUpload } from './new-upload.ts'

/** A row that was inserted, and the earlier uploads that equal requests may have made. */
export interface InsertedUpload {
  upload: UploadRecord
  repeated: string[]
}

/**
 * Makes the row of an upload that passes the rules, and inserts it: its quota is reserved from then on.
 * @param partials of which a final upload will be made; `null` for any other
 * @throws UploadError from the rules, from the authorizer, QUOTA_EXCEEDED, RATE_LIMITED
 */
export async function insertUpload(
  context: EngineContext,
  actor: Actor,
  creation: CreateUpload,
  partials: UploadRecord[] | null,
  policy: Policy,
): Promise<InsertedUpload> {
  const { settings, nameObject, newId, authorization, uploads } = context
  // Where the part size divides the lengths of the partial uploads no part crosses a boundary, and the store copies all of them.
  const whole = partials && { ...creation, size: lengthOf(partials), firstChunkSize: partials[0]?.size ?? undefined }
  const partSize = whole ? preferredConcatPartSize(whole.size, settings.partSize) : settings.partSize
  const upload = newUpload(context, actor, whole ?? creation, policy, partSize)
  const { filename, contentType, category } = upload
  const resolved = { ...creation, filename, contentType, category }
  await authorization.authorizeRequest({ actor, action: 'create', creation: resolved })
  if (nameObject && !upload.isPartial) {
    const unique = uniqueToken(newId)
    const name = await nameObject({ actor, creation: resolved, id: upload.id, unique })
    upload.key = makeNamedKey(name, upload.id, unique)
  }
  const repeated = await uploads.insert(upload, eventOf('upload.created', upload), policy, actor)
  return { upload, repeated }
}
