import { authorizeOwner } from '../access/access.ts'
import type { Action } from '../access/actions.ts'
import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { assertId } from '../upload-state.ts'

/**
 * The row of an upload, for an actor who may ask for `action`. The lock holder is not asked to stop.
 * @throws UploadError UPLOAD_NOT_FOUND, FORBIDDEN, UNAUTHENTICATED
 */
export async function findUpload(
  { uploads, authorization, now }: EngineContext,
  actor: Actor,
  id: string,
  action: Action,
): Promise<UploadRecord> {
  assertId(id)
  const upload = await uploads.find(id)
  if (!upload) throw errors.uploadNotFound()
  authorizeOwner(actor, upload, action, now())
  await authorization.authorize(actor, action, upload)
  return upload
}
