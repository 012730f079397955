/*
 * "It is not there" is an observation, and may be wrong: a gateway's hiccup, a volume that is not mounted, a database that is older
 * than its store. So the first one is written down, and the upload is answered as if the store were away; only a second one
 * after a pause says that the upload is lost. Before each of them the object itself is looked for: when the whole file is
 * there, the upload is complete, whatever its row thinks.
 */
import { errors } from '../errors/errors.ts'
import { type Lease, NoSuchKey, NoSuchUpload, type ObjectStore } from '../ports.ts'
import type { Actor } from '../upload.ts'
import { completeUpload, failUpload } from './record-end.ts'

export interface LossOptions {
  store: ObjectStore
  now(): Date
  /** How long after the first observation a second one is believed. */
  lossConfirmMs: number
}

/**
 * Whether the store says that what the session names is gone: its parts, a piece, or what it is to be made of. Whoever was overtaken sees
 * the same, because others have removed it, and has no lease to say so with.
 */
export function isLost(error: unknown): error is NoSuchUpload | NoSuchKey {
  return error instanceof NoSuchUpload || error instanceof NoSuchKey
}

/**
 * Takes `cause` as an observation that something of the upload is not in the store. Resolves when the upload turns out to be
 * complete.
 * @throws UploadError STORE_UNAVAILABLE after the first observation; UPLOAD_LOST after one that confirms it: the upload has failed
 */
export async function observeLoss(lease: Lease, cause: Error, by: Actor | null, options: LossOptions): Promise<void> {
  const { upload } = lease
  const { store, now, lossConfirmMs } = options
  if (await completeIfWhole(lease, by, options)) return
  const at = now()
  if (upload.lossSeenAt !== null && at.getTime() - upload.lossSeenAt.getTime() >= lossConfirmMs)
    return failLost(lease, cause, by)
  await lease.save({ lossSeenAt: upload.lossSeenAt ?? at, release: true })
  throw errors.notFoundInStore({ lossSeenAt: upload.lossSeenAt?.toISOString(), store: store.name }, cause)
}

/**
 * Completes an upload whose whole object is in the store: the answer that said so was lost, or the row is of an older database.
 * False when there is none that can be it.
 */
export async function completeIfWhole(
  lease: Lease,
  by: Actor | null,
  { store, now }: Pick<LossOptions, 'store' | 'now'>,
): Promise<boolean> {
  const { upload } = lease
  const found = await store.stat(upload.key)
  // Keys are given once: what lies there was made of this upload's bytes, all of them. A length that differs is another matter.
  if (!found || (upload.size !== null && upload.size !== found.size)) return false
  try {
    await completeUpload(lease, found, { now, store, by })
    return true
  } catch (error) {
    if (isLost(error)) return false
    throw error
  }
}

/**
 * Looks for the object of a completed upload. `missing`: the store says that it is not there, for the first time or within the pause;
 * `lost`: it says so again after the pause. The row keeps the first observation, and forgets it when the object is there.
 */
export async function observeFile(
  lease: Lease,
  { store, now, lossConfirmMs }: LossOptions,
): Promise<'there' | 'missing' | 'lost'> {
  const { key, lossSeenAt } = lease.upload
  const at = now()
  if ((await store.stat(key)) !== null) {
    if (lossSeenAt !== null) await lease.save({ lossSeenAt: null })
    return 'there'
  }
  if (lossSeenAt !== null && at.getTime() - lossSeenAt.getTime() >= lossConfirmMs) return 'lost'
  if (lossSeenAt === null) await lease.save({ lossSeenAt: at })
  return 'missing'
}

/** Says `failed`: what was sent of the upload is gone, and the client must start anew. @throws UploadError UPLOAD_LOST */
export async function failLost(lease: Lease, cause: Error, by: Actor | null): Promise<never> {
  await failUpload(lease, 'lost', by)
  throw errors.uploadLost({}, cause)
}
