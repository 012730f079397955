import { lengthOf, preferredConcatPartSize } from '../concatenation/concatenate.ts'
import type { EngineContext } from '../engine-context.ts'
import { eventOf } from '../events.ts'
import { makeNamedKey, uniqueToken } from '../object-key.ts'
import type { Policy } from '../policy/policy.ts'
import type { InitialLock } from '../ports/locks.ts'
import type { Actor, CreateUpload, UploadRecord } from '../upload.ts'
import { newUpload } from './new-upload.ts'

/** The row of a new upload, which is not inserted yet, and the policy that it passed. */
export interface PreparedUpload {
  upload: UploadRecord
  policy: Policy
}

/** A row that was inserted, and the earlier uploads that equal requests may have made. */
export interface InsertedUpload {
  upload: UploadRecord
  repeated: string[]
}

/**
 * Makes the row of an upload that passes the rules.
 * @param partials of which a final upload will be made; `null` for any other
 * @throws UploadError from the rules and from the authorizer
 */
export async function prepareUpload(
  context: EngineContext,
  actor: Actor,
  creation: CreateUpload,
  partials: UploadRecord[] | null,
  policy: Policy,
): Promise<PreparedUpload> {
  const { settings, nameObject, newId, authorization } = context
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
  return { upload, policy }
}

/**
 * Inserts the row: its quota is reserved from then on, and `lock` is held; not given: the upload is not locked.
 * @throws UploadError QUOTA_EXCEEDED, RATE_LIMITED
 */
export async function insertUpload(
  { uploads }: EngineContext,
  actor: Actor,
  { upload, policy }: PreparedUpload,
  lock?: InitialLock,
): Promise<InsertedUpload> {
  const { maxSize, repeated } = await uploads.insert(upload, eventOf('upload.created', upload), policy, actor, lock)
  return { upload: { ...upload, maxSize }, repeated }
}
