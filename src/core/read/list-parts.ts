import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { PartList } from '../receive/requests.ts'
import type { Actor } from '../upload.ts'
import { isOverdue, toUpload } from '../upload-state.ts'
import { findUpload } from './find-upload.ts'

/** The stored parts of an upload; of a completed one none, because they are one object now. */
export async function listParts(context: EngineContext, actor: Actor, id: string): Promise<PartList> {
  const { uploads, now } = context
  await findUpload(context, actor, id, 'read')
  const found = await uploads.findWithParts(id)
  if (!found) throw errors.uploadNotFound()
  const { upload: record, parts } = found
  const upload = toUpload(record)
  return { upload: isOverdue(record, now()) ? { ...upload, state: 'expired' } : upload, parts }
}
