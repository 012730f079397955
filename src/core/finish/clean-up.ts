import type { ObjectStore, Sessions } from '../ports.ts'
import { isId } from '../session-view.ts'
import type { Session } from '../upload.ts'

const piecesFolder = '.landfall/pieces/'

/** Where the pieces of upload `id` lie: a folder of its own, so that all of them can be found. */
export function pieceFolder(id: string): string {
  return `${piecesFolder}${id}/`
}

/** The ids of all uploads of which pieces lie in the store. */
export async function* idsWithPieces(store: ObjectStore): AsyncGenerator<string> {
  let last = ''
  // In S3's order, and in that of folders, the pieces of an upload follow each other.
  for await (const key of store.list(piecesFolder)) {
    const [id = ''] = key.slice(piecesFolder.length).split('/', 1)
    if (id !== last && isId(id)) yield id
    last = id
  }
}

/** Whether the upload's object is a file that stays for its owner; of a partial upload it is not. */
export function mayKeepObject({ concat }: Pick<Session, 'concat'>): boolean {
  return concat?.kind !== 'partial'
}

/** What is in the store of an upload that has ended and is no file. Nothing but what this upload's own record names. */
export async function findLitter(session: Session, store: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.list(pieceFolder(session.id))) keys.push(key)
  const isFree = session.state !== 'completed' && !mayKeepObject(session)
  if (isFree && (await store.stat(session.key)) !== null) keys.push(session.key)
  return keys
}

/**
 * Frees what an ended upload used: pieces, open multipart uploads, and the object of a partial one. Idempotent;
 * what fails is left for the sweeper, because the session stays dirty. The object of a file is never removed here: where the
 * end was meant for it, it is to be deleted at `deleteAt`.
 */
export async function cleanUp(session: Session, store: ObjectStore, sessions: Sessions, deleteAt: Date): Promise<void> {
  const lastSaid = await sessions.lastSaid(session.id)
  await store.abort(session.key, null)
  if (session.handle !== null && session.state !== 'completed') await store.abort(session.key, session.handle)
  await store.remove(await findLitter(session, store))
  if (isUnwanted(session) && (await store.stat(session.key)) !== null)
    await sessions.scheduleDeletion(session.id, deleteAt)
  await sessions.markClean(session.id, lastSaid)
}

/**
 * Whether an object that lies there is to be deleted: its owner gave it up, or it was seen not to be the file that was announced.
 * What lies there of an upload that expired or was lost was not expected, and may be the only copy of a user's file.
 */
function isUnwanted(session: Session): boolean {
  const isGivenUp = session.state === 'cancelled' || (session.state === 'failed' && session.failure === 'digest')
  return isGivenUp && mayKeepObject(session) && session.deleteDueAt === null
}
