import { authorizeCollection, ownerOfActor } from '../access/access.ts'
import type { EngineContext } from '../engine-context.ts'
import type { UploadQuery } from '../ports/uploads.ts'
import type { Actor, Upload } from '../upload.ts'
import { assertId, toUpload } from '../upload-state.ts'

/** The actor's own uploads, newest first. */
export async function list(context: EngineContext, actor: Actor, query: UploadQuery): Promise<Upload[]> {
  authorizeCollection(actor, 'list')
  await context.authorization.authorizeRequest({ actor, action: 'list' })
  if (query.before !== undefined) assertId(query.before)
  return (await context.uploads.list(ownerOfActor(actor), query)).map((upload) => toUpload(upload))
}
