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

/** What is in the store of an upload that has ended and should not be. Nothing but what this upload's own record names. */
export async function findLitter(session: Session, store: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.list(pieceFolder(session.id))) keys.push(key)
  if (session.state !== 'completed' && (await store.stat(session.key)) !== null) keys.push(session.key)
  return keys
}

/**
 * Frees what an ended upload used: pieces, open multipart uploads, and the object unless it is complete. Idempotent;
 * what fails is left for the sweeper, because the session stays dirty.
 */
export async function cleanUp(session: Session, store: ObjectStore, sessions: Sessions): Promise<void> {
  const lastSaid = await sessions.lastSaid(session.id)
  await store.abort(session.key, null)
  if (session.handle !== null && session.state !== 'completed') await store.abort(session.key, session.handle)
  await store.remove(await findLitter(session, store))
  await sessions.markClean(session.id, lastSaid)
}
