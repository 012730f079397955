import type { EngineContext } from '../engine-context.ts'
import type { Actor, Upload } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { findUpload } from './find-upload.ts'

/** The upload as it is recorded. The lock holder is not asked to stop, and nothing is finished. */
export async function get(context: EngineContext, actor: Actor, id: string): Promise<Upload> {
  return toUpload(await findUpload(context, actor, id, 'read'))
}
