import type { EngineContext } from '../engine-context.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import { allTails, tailPrefixOf, uploadIdOfTail } from '../tail-keys.ts'
import { hasEnded, type UploadRecord } from '../upload.ts'
import { isId } from '../upload-state.ts'
import { deleteObject } from './delete-object.ts'

/** The ids of all uploads of which tail objects lie in the store. */
export async function* idsWithTailObjects(store: ObjectStore): AsyncGenerator<string> {
  let last = ''
  // In S3's order, and in that of folders, the tail objects of one upload follow each other.
  for await (const key of store.list(allTails)) {
    const id = uploadIdOfTail(key)
    if (id !== last && isId(id)) yield id
    last = id
  }
}

/** Whether the object of the upload is a file that stays for its owner; that of a partial upload is not. */
export function mayKeepObject({ isPartial }: Pick<UploadRecord, 'isPartial'>): boolean {
  return !isPartial
}

/** When an object that is deleted now is to be removed. */
export function deletionDueAt({ now, settings }: EngineContext): Date {
  return new Date(now().getTime() + settings.deleteGraceMs)
}

/** The objects of an ended upload that are no file: only what belongs to this upload's own id and key. */
export async function findOrphans(upload: UploadRecord, store: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.list(tailPrefixOf(upload.id))) keys.push(key)
  const isFree = upload.state !== 'completed' && !mayKeepObject(upload)
  if (isFree && (await store.stat(upload.key)) !== null) keys.push(upload.key)
  return keys
}

/** Frees what an ended upload left in the store; for the sweeper. */
export async function cleanUp(context: EngineContext, id: string): Promise<void> {
  const upload = await context.uploads.find(id)
  if (upload && hasEnded(upload)) await freeStorage(context, upload)
}

/**
 * Frees what an ended upload used: tail objects, open multipart uploads, and the object of a partial upload. Idempotent; what fails is
 * left to the sweeper, because the row still says that clean-up is needed. The object of a file is never removed here: where the end was
 * meant for the file, it is removed when DELETE_GRACE is over.
 */
export async function freeStorage(context: EngineContext, upload: UploadRecord): Promise<void> {
  const { uploads, store, settings } = context
  const version = await uploads.cleanupVersion(upload.id)
  await store.abortMultipart(upload.key, null)
  if (upload.multipartId !== null && upload.state !== 'completed')
    await store.abortMultipart(upload.key, upload.multipartId)
  await store.remove(await findOrphans(upload, store))
  if (isUnwanted(upload) && (await store.stat(upload.key)) !== null)
    await uploads.scheduleDeletion(upload.id, deletionDueAt(context))
  await uploads.markCleanedUp(upload.id, version)
  if (settings.deleteGraceMs === 0 && upload.state !== 'completed') await deleteObject(context, upload.id)
}

/**
 * Whether an object at the upload's key is to be deleted: its owner gave it up, or it is not the file that was announced. The object of an
 * upload that expired or was lost was not expected, and may be the only copy of a user's file.
 */
function isUnwanted(upload: UploadRecord): boolean {
  const isGivenUp = upload.state === 'cancelled' || (upload.state === 'failed' && upload.failure === 'digest')
  return isGivenUp && mayKeepObject(upload) && upload.deleteDueAt === null
}
