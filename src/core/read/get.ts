import { atContiguousOffset } from '../contiguous-offset.ts'
import type { EngineContext } from '../engine-context.ts'
import type { Actor, Upload, UploadRecord } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { findUpload } from './find-upload.ts'

/** The upload as it is recorded. The lock holder is not asked to stop, and nothing is finished. */
export async function get(context: EngineContext, actor: Actor, id: string): Promise<Upload> {
  return asRecorded(context, await findUpload(context, actor, id, 'read'))
}

/** The same for a row that was read already. */
export async function asRecorded({ uploads }: EngineContext, upload: UploadRecord): Promise<Upload> {
  return toUpload(await atContiguousOffset(upload, uploads))
}
