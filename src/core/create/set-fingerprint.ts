import type { EngineContext } from '../engine-context.ts'
import { findUpload } from '../read/find-upload.ts'
import type { Actor } from '../upload.ts'
import { assertActive } from '../upload-state.ts'
import { checkFingerprint } from './fingerprint.ts'

/** Records what the client knows the file by: see `Engine.setFingerprint`. @throws UploadError INVALID_METADATA */
export async function setFingerprint(
  context: EngineContext,
  actor: Actor,
  id: string,
  fingerprint: string | null,
): Promise<void> {
  if (fingerprint !== null) checkFingerprint(fingerprint)
  assertActive(await findUpload(context, actor, id, 'append'), context.now())
  await context.uploads.setFingerprint(id, fingerprint)
}
