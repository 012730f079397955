/*
 * "It is not there" is an observation, and may be wrong: a gateway in trouble, a volume that is not mounted, a database that is older
 * than its store. So the first observation is recorded, and the upload is answered as if the store were unavailable; only a second one
 * after a pause establishes the loss. Before each of them the object itself is looked up: if the whole file is there, the upload is
 * complete, whatever its row says.
 */
import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { NoSuchKey, NoSuchUpload } from '../ports/object-store.ts'
import type { Actor } from '../upload.ts'
import { completeUpload } from './complete.ts'
import { failUpload } from './fail.ts'

/**
 * Whether the store says that something the row names is gone: parts, a tail object, or a source of a concatenation. A request that has lost
 * its lease sees the same, because others have removed it, and has no lease left to record it with.
 */
export function isLost(error: unknown): error is NoSuchUpload | NoSuchKey {
  return error instanceof NoSuchUpload || error instanceof NoSuchKey
}

/**
 * Takes `cause` as an observation that something of the upload is not in the store. Resolves when the upload turns out to be
 * complete.
 * @throws UploadError STORE_UNAVAILABLE after the first observation; UPLOAD_LOST after one that confirms it: the upload has failed
 */
export async function observeLoss(context: EngineContext, lease: Lease, cause: Error, by: Actor | null): Promise<void> {
  const { upload } = lease
  const { store, now } = context
  if (await completeIfWhole(context, lease, by)) return
  const at = now()
  if (isConfirmed(context, upload.lossSeenAt, at)) return failLost(lease, cause, by)
  await lease.save({ lossSeenAt: upload.lossSeenAt ?? at, release: true })
  throw errors.notFoundInStore({ lossSeenAt: upload.lossSeenAt?.toISOString(), store: store.name }, cause)
}

/**
 * Completes an upload whose whole object is in the store: the answer that said so was lost, or the row is of an older database.
 * False when no such object is there.
 */
export async function completeIfWhole(context: EngineContext, lease: Lease, by: Actor | null): Promise<boolean> {
  const { upload } = lease
  const found = await context.store.stat(upload.key)
  // A key is given to one upload only: an object of this length at it was made of all of this upload's bytes.
  if (!found || (upload.size !== null && upload.size !== found.size)) return false
  lease.ledger.found(upload.key)
  try {
    // What the object was made of is not known any more.
    await completeUpload(context, lease, { ...found, crc32: null }, by)
    return true
  } catch (error) {
    if (isLost(error)) return false
    throw error
  }
}

/**
 * Looks for the object of a completed upload. `missing`: the store says that it is not there, for the first time or within the pause;
 * `lost`: it says so again after the pause. The row keeps the first observation, and drops it when the object is there.
 */
export async function observeObject(context: EngineContext, lease: Lease): Promise<'there' | 'missing' | 'lost'> {
  const { key, lossSeenAt } = lease.upload
  const at = context.now()
  if ((await context.store.stat(key)) !== null) {
    if (lossSeenAt !== null) await lease.save({ lossSeenAt: null })
    return 'there'
  }
  if (isConfirmed(context, lossSeenAt, at)) return 'lost'
  if (lossSeenAt === null) await lease.save({ lossSeenAt: at })
  return 'missing'
}

/** What was sent of the upload is gone, and the client must start anew: the upload has failed. @throws UploadError UPLOAD_LOST */
export async function failLost(lease: Lease, cause: Error, by: Actor | null): Promise<never> {
  await failUpload(lease, 'lost', by)
  throw errors.uploadLost({}, cause)
}

function isConfirmed({ settings }: EngineContext, lossSeenAt: Date | null, at: Date): boolean {
  return lossSeenAt !== null && at.getTime() - lossSeenAt.getTime() >= settings.lossConfirmMs
}
