import { authorizeOwner } from '../access/access.ts'
import type { Action } from '../access/actions.ts'
import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import { assertReadable, type StoredFile, type UploadedFile } from '../stored-file.ts'
import type { Actor } from '../upload.ts'
import { assertActive, assertId, isId } from '../upload-state.ts'

/** A file whose bytes the actor may have: see `Engine.file`. Takes no lock and writes nothing. */
export async function file(
  context: EngineContext,
  actor: Actor,
  id: string,
  action: 'download' | 'link',
): Promise<StoredFile> {
  const { upload, file } = await findUploadedFile(context, actor, id, action)
  if (!file) {
    assertActive(upload, context.now())
    throw errors.fileNotComplete()
  }
  assertReadable(file)
  return file
}

/** The file of a link that was made in `linkEpoch`: see `Engine.linkedFile`. */
export async function linkedFile({ uploads }: EngineContext, id: string, linkEpoch: number): Promise<StoredFile> {
  const found = isId(id) ? await uploads.findFile(id) : null
  if (found?.file?.linkEpoch !== linkEpoch) throw errors.linkExpired()
  assertReadable(found.file)
  return found.file
}

/** Revokes all links to a file, whatever its state: see `Engine.revokeLinks`. */
export async function revokeLinks(context: EngineContext, actor: Actor, id: string): Promise<void> {
  await findUploadedFile(context, actor, id, 'link')
  await context.uploads.revokeLinks(id)
}

async function findUploadedFile(
  { uploads, authorization, now }: EngineContext,
  actor: Actor,
  id: string,
  action: Action,
): Promise<UploadedFile> {
  assertId(id)
  const found = await uploads.findFile(id)
  // A partial upload is no file.
  if (!found || found.upload.isPartial) throw errors.uploadNotFound()
  authorizeOwner(actor, found.upload, action, now())
  await authorization.authorize(actor, action, found.upload)
  return found
}
