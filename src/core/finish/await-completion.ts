import { authorizeOwner } from '../access/access.ts'
import type { Action } from '../access/actions.ts'
import type { EngineContext } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { assertNoPartLocks } from '../parts/part-locks.ts'
import { cleanUpAfter } from '../transitions/clean-up-after.ts'
import { type Actor, hasEveryByte, type UnmeasuredUpload, type Upload, type UploadRecord } from '../upload.ts'
import { assertActive, toUpload } from '../upload-state.ts'
import { within } from '../within.ts'
import { finishUpload } from './finish-upload.ts'

/**
 * Finishes the upload unless another request has, and waits for it no longer than an answer may take; a finish that takes longer goes on.
 * @param actor who asks for it; `null` when the client had asked before
 * @throws UploadError as `finishUpload`; STORE_UNAVAILABLE while it is still being finished
 */
export async function awaitCompletion(
  context: EngineContext,
  id: string,
  actor: Actor | null,
  action: Action = 'complete',
): Promise<Upload> {
  return awaitFinish(
    context,
    id,
    withLockInTurn(context, id, actor, action, (lease) => finishUnderLease(context, lease, actor, action)),
  )
}

/** Waits for the finish of upload `id` that has begun: as `awaitCompletion`. */
export async function awaitFinish(
  context: EngineContext,
  id: string,
  finishing: Promise<UploadRecord>,
): Promise<Upload> {
  const { bodies, settings, background } = context
  background.runDetached(
    finishing.then(
      (upload) => cleanUpAfter(context, upload),
      () => {},
    ),
    { uploadId: id, what: 'cleaning up' },
  )
  const upload = await within(finishing, settings.finishWaitMs, bodies.draining.signal).catch((error: unknown) => {
    throw isUploadError(error, 'UPLOAD_LOCKED') ? errors.stillFinishing() : error
  })
  if (!upload) throw errors.stillFinishing()
  return toUpload(upload)
}

async function finishUnderLease(
  context: EngineContext,
  lease: Lease,
  actor: Actor | null,
  action: Action,
): Promise<UploadRecord> {
  const { authorization, now } = context
  const { upload } = lease
  assertActive(upload, now())
  const isOpen = upload.state === 'receiving'
  // The tail becomes a part by a number that another request may be writing right now.
  if (isOpen || action === 'finish') await assertNoPartLocks(context, lease)
  if (actor && isOpen && action !== 'finish') {
    authorizeOwner(actor, upload, 'complete', now())
    await authorization.authorize(actor, 'complete', upload)
  }
  // A request that only read the status did not say that the upload is whole, and a part may have been replaced since it looked whole.
  if (isOpen && action === 'read' && upload.kind !== 'final' && !hasEveryByte(upload)) return upload
  await finishUpload(context, lease, actor)
  return upload
}

/**
 * Takes the lease once the holder that finishes the upload has released it, which takes longer than a locker waits. It is given up after
 * the time that an answer waits: the client then asks again, and waits anew.
 */
async function withLockInTurn<T>(
  { leases, settings, authorization }: EngineContext,
  id: string,
  actor: Actor | null,
  action: Action,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const ownerCheck = actor ? authorization.ownerCheck(actor, action) : () => {}
  const until = performance.now() + settings.finishWaitMs
  for (;;) {
    let isOpen = true
    const check = (upload: UnmeasuredUpload) => {
      ownerCheck(upload)
      isOpen = upload.state === 'receiving'
    }
    try {
      return await leases.withLease(id, check, work)
    } catch (error) {
      if (!isUploadError(error, 'UPLOAD_LOCKED') || isOpen || performance.now() >= until) throw error
    }
  }
}
