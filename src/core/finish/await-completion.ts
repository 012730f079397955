import { type Action, authorizeOwner } from '../access/access.ts'
import type { Authorization } from '../access/authorization.ts'
import type { BackgroundTasks } from '../background.ts'
import { isUploadError } from '../errors/error.ts'
import { type PartLocking, uploadLocked, waitForPartLocks } from '../parts/part-locks.ts'
import type { Lease, Locker } from '../ports.ts'
import { stillFinishing } from '../receive/append-errors.ts'
import type { Ends } from '../transitions/ends.ts'
import { type Actor, hasEveryByte, type UploadRecord } from '../upload.ts'
import { assertActive, readContiguousOffset } from '../upload-view.ts'
import { within } from '../within.ts'
import { type FinishOptions, finishUpload } from './finish.ts'

export interface CompletionOptions
  extends Omit<FinishOptions, 'by'>,
    Pick<BackgroundTasks, 'runDetached'>,
    Pick<Ends, 'cleanUpAfter'> {
  locker: Locker
  authorization: Authorization
  partLocking: PartLocking
  /** How long an answer waits for the store to make an object before it says 503. */
  finishWaitMs: number
  /** Aborts when this server stops: then no request waits any longer. */
  draining: AbortSignal
}

/**
 * Holds the lease when whoever finishes the upload has let go of it, which takes longer than a locker waits. It is given up after the time
 * that an answer waits: the client then asks again, and waits anew.
 */
async function holdInTurn<T>(
  id: string,
  check: (upload: UploadRecord) => void,
  { locker, finishWaitMs }: CompletionOptions,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const until = performance.now() + finishWaitMs
  for (;;) {
    let isOpen = true
    const note = (upload: UploadRecord) => {
      check(upload)
      isOpen = upload.state === 'receiving'
    }
    try {
      return await locker.withLock(id, note, work)
    } catch (error) {
      if (!isUploadError(error, 'UPLOAD_LOCKED') || isOpen || performance.now() >= until) throw error
    }
  }
}

/**
 * Finishes the upload unless somebody has, and waits for it no longer than an answer may take; what takes longer goes on.
 * @param actor who wants it to be complete; `null` when that was decided before
 * @throws UploadError as `finishUpload`; STORE_UNAVAILABLE while it is still being finished
 */
export async function awaitCompletion(
  id: string,
  actor: Actor | null,
  action: Action,
  options: CompletionOptions,
): Promise<UploadRecord> {
  const { authorization, partLocking, now } = options
  const check = actor ? authorization.ownerCheck(actor, action) : () => {}
  const finishing = holdInTurn(id, check, options, async (lease) => {
    assertActive(lease.upload, now())
    // The tail becomes a part by a number that a chunk may be writing just now.
    const isOpen = lease.upload.state === 'receiving'
    if ((isOpen || action === 'finish') && !(await waitForPartLocks(lease, partLocking))) throw uploadLocked()
    if (actor && isOpen && action !== 'finish') {
      authorizeOwner(actor, lease.upload, 'complete', now())
      await authorization.authorize(actor, 'complete', lease.upload)
    }
    await readContiguousOffset(lease.upload, options.uploads)
    // Who only asked how far it is did not say that it is whole, and a chunk may have gone since that was seen.
    if (isOpen && action === 'read' && lease.upload.concat?.kind !== 'final' && !hasEveryByte(lease.upload))
      return lease.upload
    await finishUpload(lease, { ...options, by: actor })
    return lease.upload
  })
  options.runDetached(
    finishing.then(options.cleanUpAfter, () => {}),
    { uploadId: id, what: 'cleaning up' },
  )
  const upload = await within(finishing, options.finishWaitMs, options.draining).catch((error: unknown) => {
    throw isUploadError(error, 'UPLOAD_LOCKED') ? stillFinishing() : error
  })
  return upload ?? Promise.reject(stillFinishing())
}
