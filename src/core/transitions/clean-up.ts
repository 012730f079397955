import type { ObjectStore, UploadRepository } from '../ports.ts'
import type { UploadRecord } from '../upload.ts'
import { isId } from '../upload-view.ts'

const tailPrefix = '.landfall/tails/'

/** Where the pieces of upload `id` lie: a folder of its own, so that all of them can be found. */
export function tailPrefixOf(id: string): string {
  return `${tailPrefix}${id}/`
}

/** The ids of all uploads of which pieces lie in the store. */
export async function* idsWithTailObjects(store: ObjectStore): AsyncGenerator<string> {
  let last = ''
  // In S3's order, and in that of folders, the pieces of an upload follow each other.
  for await (const key of store.list(tailPrefix)) {
    const [id = ''] = key.slice(tailPrefix.length).split('/', 1)
    if (id !== last && isId(id)) yield id
    last = id
  }
}

/** Whether the upload's object is a file that stays for its owner; of a partial upload it is not. */
export function mayKeepObject({ concat }: Pick<UploadRecord, 'concat'>): boolean {
  return concat?.kind !== 'partial'
}

/** What is in the store of an upload that has ended and is no file. Nothing but what this upload's own record names. */
export async function findOrphans(upload: UploadRecord, store: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.list(tailPrefixOf(upload.id))) keys.push(key)
  const isFree = upload.state !== 'completed' && !mayKeepObject(upload)
  if (isFree && (await store.stat(upload.key)) !== null) keys.push(upload.key)
  return keys
}

/**
 * Frees what an ended upload used: pieces, open multipart uploads, and the object of a partial one. Idempotent;
 * what fails is left for the sweeper, because the session stays dirty. The object of a file is never removed here: where the
 * end was meant for it, it is to be deleted at `deleteAt`.
 */
export async function cleanUp(
  upload: UploadRecord,
  store: ObjectStore,
  uploads: UploadRepository,
  deleteAt: Date,
): Promise<void> {
  const lastSaid = await uploads.cleanupVersion(upload.id)
  await store.abortMultipart(upload.key, null)
  if (upload.multipartId !== null && upload.state !== 'completed')
    await store.abortMultipart(upload.key, upload.multipartId)
  await store.remove(await findOrphans(upload, store))
  if (isUnwanted(upload) && (await store.stat(upload.key)) !== null) await uploads.scheduleDeletion(upload.id, deleteAt)
  await uploads.markCleanedUp(upload.id, lastSaid)
}

/**
 * Whether an object that lies there is to be deleted: its owner gave it up, or it was seen not to be the file that was announced.
 * What lies there of an upload that expired or was lost was not expected, and may be the only copy of a user's file.
 */
function isUnwanted(upload: UploadRecord): boolean {
  const isGivenUp = upload.state === 'cancelled' || (upload.state === 'failed' && upload.failure === 'digest')
  return isGivenUp && mayKeepObject(upload) && upload.deleteDueAt === null
}
