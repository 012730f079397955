import { authorizeCollection, ownerOfActor } from '../access/access.ts'
import type { Action } from '../access/actions.ts'
import type { EngineContext } from '../engine-context.ts'
import type { Actor } from '../upload.ts'
import { findUpload } from './find-upload.ts'

/**
 * How many parts the upload has or may have. Routes bound the size of a list of parts by it before they read the list, so it checks
 * `action` as that verb would.
 */
export async function countParts(context: EngineContext, actor: Actor, id: string, action: Action): Promise<number> {
  const { size, partSize, kind, offset } = await findUpload(context, actor, id, action)
  if (size !== null) return Math.ceil(size / partSize)
  return kind === 'parted' ? (await context.uploads.parts(id)).length : Math.ceil(offset / partSize)
}

/** The largest part count of the actor's unfinished uploads, for routes that name the upload in the body. */
export async function largestPartCount({ uploads }: EngineContext, actor: Actor): Promise<number> {
  authorizeCollection(actor, 'create')
  const open = await uploads.list(ownerOfActor(actor), { limit: 100, state: 'receiving' })
  return Math.max(0, ...open.map(({ size, partSize }) => Math.ceil((size ?? 0) / partSize)))
}
