import { measureFinal } from '../concatenation/final-uploads.ts'
import type { EngineContext } from '../engine-context.ts'
import type { Actor, Upload, UploadRecord } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { awaitCompletion } from './await-completion.ts'

/** The status of a final upload; it is concatenated as soon as its partial uploads are complete. */
export async function statusOfFinal(context: EngineContext, actor: Actor, upload: UploadRecord): Promise<Upload> {
  const { size, isReady } = await measureFinal(context, actor, upload)
  return isReady ? awaitCompletion(context, upload.id, actor, 'read') : toUpload({ ...upload, size })
}
