/*
 * The ends of an upload that are not completion:
 *
 *   receiving            → cancelled   by its owner, an admin, or a repeated creation that replaces it
 *   receiving            → expired     its time is over, or an admin said so
 *   finishing            → cancelled
 *   completed            → cancelled   the object is deleted when DELETE_GRACE is over
 *   completed (partial)  → expired     it was never concatenated
 *
 * The end is saved first, and the storage is freed afterwards: the sweeper finds by the row what a crash in between leaves behind, or a
 * store that is unavailable.
 */
import type { Action } from '../access/actions.ts'
import { stopParts } from '../body/active-bodies.ts'
import type { EngineContext } from '../engine-context.ts'
import { isUploadError, type UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { eventOf } from '../events.ts'
import type { Lease } from '../lease.ts'
import { waitForPartLocks } from '../parts/part-locks.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { assertActive, assertId, type concatenated, isConcatenated } from '../upload-state.ts'
import { deletionDueAt, freeStorage, mayKeepObject } from './clean-up.ts'
import { withServerLock } from './server-lock.ts'

/** An upload whose end is saved. */
export interface EndedUpload {
  upload: UploadRecord
  /** False: a part may still be on its way to the store, so the storage is left to the sweeper. */
  partsReleased: boolean
}

/** Saves the end of the upload whose lease is held, and gives the lease back. Bodies of its parts that are read here are ended. */
export async function endUpload(
  context: EngineContext,
  lease: Lease,
  state: 'cancelled' | 'expired',
  by: Actor | null,
  failure?: typeof concatenated,
): Promise<EndedUpload> {
  const { upload } = lease
  const outcome = Promise.withResolvers<UploadError>()
  stopParts(context.bodies, upload.id, outcome.promise)
  try {
    const partsReleased = await waitForPartLocks(context, lease)
    await lease.save({
      state,
      by,
      ...(failure && { failure }),
      needsCleanup: true,
      expiresAt: null,
      ...(mayKeepObject(upload) && upload.state === 'completed' && { deleteDueAt: deletionDueAt(context) }),
      event: eventOf(`upload.${state}`, upload),
      release: true,
    })
    return { upload, partsReleased }
  } finally {
    outcome.resolve(errorOf(context, upload))
  }
}

/**
 * Ends the upload for `actor`, who may ask for `action`, unless `assertMayEnd` throws, and frees its storage. An error while freeing is
 * reported and left to the sweeper, because the end is saved.
 */
export async function endFor(
  context: EngineContext,
  actor: Actor,
  id: string,
  action: Action,
  state: 'cancelled' | 'expired',
  assertMayEnd: (upload: UploadRecord) => void,
): Promise<void> {
  const { leases, authorization, now, observer } = context
  assertId(id)
  const ended = await leases.withLease(id, authorization.ownerCheck(actor, action), async (lease) => {
    const { upload } = lease
    await authorization.authorize(actor, action, upload)
    assertActive(upload, now())
    if (isConcatenated(upload)) throw errors.uploadCompleted()
    assertMayEnd(upload)
    return endUpload(context, lease, state, actor)
  })
  if (!ended.partsReleased) return
  await freeStorage(context, ended.upload).catch((error: unknown) =>
    observer.onError(error, { uploadId: id, what: 'cleaning up' }),
  )
}

/** Ends an open upload that still stands at `offset`, because a repeated creation replaces it. */
export async function replaceUpload(context: EngineContext, id: string, offset: number, by: Actor): Promise<void> {
  const ended = await withServerLock(context, id, async (lease) => {
    const isUnchanged = lease.upload.state === 'receiving' && lease.upload.offset === offset
    return isUnchanged ? endUpload(context, lease, 'cancelled', by) : null
  })
  if (ended?.partsReleased) await freeStorage(context, ended.upload)
}

/** Ends the upload whose lease is held, because its file is another upload already; its storage is freed beside the answer. */
export async function endRepetition(context: EngineContext, lease: Lease, by: Actor): Promise<void> {
  const { upload } = await endUpload(context, lease, 'cancelled', by)
  const cleaning = context.uploads.find(upload.id).then((row) => row && freeStorage(context, row))
  context.background.runDetached(cleaning, { uploadId: upload.id, what: 'cleaning up' })
}

/** The answer to requests that were ended with the upload. If the end could not be saved, they may try again. */
function errorOf({ now }: EngineContext, upload: UploadRecord): UploadError {
  try {
    assertActive(upload, now())
  } catch (error) {
    if (isUploadError(error)) return error
  }
  return errors.uploadLocked()
}
