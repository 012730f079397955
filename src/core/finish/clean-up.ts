import type { ObjectStore, Sessions } from '../ports.ts'
import type { Session } from '../upload.ts'

/** Where the pieces of upload `id` lie: a folder of its own, so that all of them can be found. */
export function pieceFolder(id: string): string {
  return `.landfall/pieces/${id}/`
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
  await store.abort(session.key, null)
  if (session.handle !== null && session.state !== 'completed') await store.abort(session.key, session.handle)
  await store.remove(await findLitter(session, store))
  await sessions.markClean(session.id)
}
