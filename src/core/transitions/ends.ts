/*
 * The ends of an upload that are not completion, and what is cleaned up after any end. An end is said in the session first, and
 * then freed in the store: what a crash in between leaves, or a store that is away, the sweeper finds by the session.
 */

import type { Action } from '../access/access.ts'
import type { Authorization } from '../access/authorization.ts'
import { type Facts, isUploadError, type UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { eventOf } from '../events.ts'
import { type PartLocking, uploadLocked, waitForPartLocks } from '../parts/part-locks.ts'
import type { Lease, Locker, ObjectStore } from '../ports.ts'
import { alreadyCompleted, stillFinishing } from '../receive/append-errors.ts'
import { type Actor, hasEnded, type UploadRecord } from '../upload.ts'
import { assertActive, checkId, concatenated, isConcatenated } from '../upload-view.ts'
import { cleanUp, mayKeepObject } from './clean-up.ts'
import { completeIfWhole, observeFile } from './loss.ts'
import { failUpload } from './record-end.ts'

export interface EndsOptions {
  store: ObjectStore
  locker: Locker
  partLocking: PartLocking
  authorization: Authorization
  now(): Date
  /** How long the object of a completed upload stays after it was deleted. */
  deleteGraceMs: number
  /** How long after the first observation a second one is believed. */
  lossConfirmMs: number
  /** Ends the bodies of numbered chunks that are being read here. */
  stopParts(error: () => Promise<UploadError>, id: string): void
  onError(error: unknown, facts: Facts): void
}

export interface Ends {
  /** See `Engine.cancel`. */
  cancel(actor: Actor, id: string, how?: { sparesCompleted?: boolean; endsAppend?: boolean }): Promise<void>
  /** See `Engine.expireNow`. */
  expireAsAdmin(actor: Actor, id: string): Promise<void>
  /** Ends an open upload that stands at `offset` still, for another one that was asked for in its place. */
  replace(id: string, offset: number, by: Actor): Promise<void>
  /** Ends the upload whose lease is held, and gives the lease back. What it used is to be freed by `clean`. */
  giveUp(lease: Lease, by: Actor): Promise<void>
  /** See `RunningEngine.expire`. */
  expire(id: string): Promise<boolean>
  /** See `RunningEngine.clean`. */
  cleanUp(id: string): Promise<void>
  /** See `RunningEngine.deleteObject`. */
  deleteObject(id: string): Promise<boolean>
  /** See `RunningEngine.observeFile`. */
  observeFile(id: string, by: Actor): Promise<'there' | 'missing' | 'ended'>
  /** See `RunningEngine.restore`. */
  restore(id: string, by: Actor): Promise<void>
  /** Frees what a completed upload no longer needs: its leftovers, and the partial uploads it was made of. Of one that goes on nothing. */
  cleanUpAfter(upload: UploadRecord): Promise<void>
}

interface EndedUpload {
  upload: UploadRecord
  /** No part of it is still on its way to the store. */
  hasNoPartsInFlight: boolean
}

/** The ends of uploads over one store and one lock. */
export function createEnds(options: EndsOptions): Ends {
  const { store, locker, partLocking, authorization, now, deleteGraceMs, lossConfirmMs, stopParts, onError } = options
  const { uploads } = partLocking
  const deletionDue = () => new Date(now().getTime() + deleteGraceMs)

  async function freeStorage(upload: UploadRecord): Promise<void> {
    await cleanUp(upload, store, uploads, deletionDue())
    // Nothing is kept for those who change their mind.
    if (deleteGraceMs === 0 && upload.state !== 'completed') await deleteObject(upload.id)
  }

  /** Ends the upload for somebody who may, unless `refuse` throws. */
  async function endFor(
    actor: Actor,
    id: string,
    action: Action,
    state: 'cancelled' | 'expired',
    refuse: (upload: UploadRecord) => void,
  ): Promise<void> {
    checkId(id)
    const ended = await locker.withLock(id, authorization.ownerCheck(actor, action), async (lease) => {
      await authorization.authorize(actor, action, lease.upload)
      assertActive(lease.upload, now())
      if (isConcatenated(lease.upload)) throw alreadyCompleted()
      refuse(lease.upload)
      return end(lease, state, actor)
    })
    if (!ended.hasNoPartsInFlight) return
    await freeStorage(ended.upload).catch((error: unknown) => onError(error, { uploadId: id, what: 'cleaning up' }))
  }

  /** A part that is still on its way to the store would outlive the cleaning: then it is left to the sweeper. */
  async function end(
    lease: Lease,
    state: 'cancelled' | 'expired',
    by: Actor | null,
    failure?: typeof concatenated,
  ): Promise<EndedUpload> {
    const { upload } = lease
    const outcome = Promise.withResolvers<UploadError>()
    stopParts(() => outcome.promise, upload.id)
    try {
      const quiet = await waitForPartLocks(lease, partLocking)
      await lease.save({
        state,
        by,
        ...(failure && { failure }),
        needsCleanup: true,
        expiresAt: null,
        ...(mayKeepObject(upload) && upload.state === 'completed' && { deleteDueAt: deletionDue() }),
        event: eventOf(`upload.${state}`, upload),
        release: true,
      })
      return { upload, hasNoPartsInFlight: quiet }
    } finally {
      outcome.resolve(endOf(upload))
    }
  }

  /** What is answered to whoever was stopped for it. Should it not have been said after all, they may come again. */
  function endOf(upload: UploadRecord): UploadError {
    try {
      assertActive(upload, now())
    } catch (error) {
      if (isUploadError(error)) return error
    }
    return uploadLocked()
  }

  /** What the server does by itself: nobody asks, so nobody is refused. */
  const hold = <T>(id: string, work: (lease: Lease) => Promise<T>) => locker.withLock(id, () => {}, work)

  /** A partial upload that is part of a file now is no longer needed. Should this be cut off, it expires. */
  async function endPartial(id: string): Promise<void> {
    const partial = await hold(id, async (lease) => {
      if (lease.upload.state === 'completed') await end(lease, 'cancelled', null, concatenated)
      return lease.upload
    })
    if (hasEnded(partial)) await freeStorage(partial)
  }

  /** Under the lease, so that it and an undoing never meet. */
  function deleteObject(id: string): Promise<boolean> {
    return hold(id, async (lease) => {
      const { state, deleteDueAt, key } = lease.upload
      if (state === 'completed' || !hasEnded(lease.upload) || deleteDueAt === null || deleteDueAt > now()) return false
      await store.remove([key])
      await lease.save({ deleteDueAt: null, release: true })
      return true
    })
  }

  return {
    cancel(actor, id, { sparesCompleted = false, endsAppend = false } = {}) {
      const spares = sparesCompleted || actor.resumeUploadId !== undefined
      return endFor(actor, id, endsAppend ? 'append' : 'cancel', 'cancelled', ({ state }) => {
        if (spares && state === 'completed') throw alreadyCompleted()
      })
    },
    expireAsAdmin(actor, id) {
      return endFor(actor, id, 'expire', 'expired', ({ state }) => {
        if (state === 'completed') throw alreadyCompleted()
        if (state === 'finishing') throw stillFinishing()
      })
    },
    async replace(id, offset, by) {
      const ended = await hold(id, async (lease) => {
        const isStill = lease.upload.state === 'receiving' && lease.upload.offset === offset
        return isStill ? end(lease, 'cancelled', by) : null
      })
      if (ended?.hasNoPartsInFlight) await freeStorage(ended.upload)
    },
    async giveUp(lease, by) {
      await end(lease, 'cancelled', by)
    },
    async expire(id) {
      const ended = await hold(id, async (lease) => {
        const { state, expiresAt } = lease.upload
        // Of what is complete, only a partial upload that was never joined has an expiry.
        const mayExpire = state === 'receiving' || state === 'completed'
        if (!mayExpire || expiresAt === null || expiresAt > now()) return null
        // The answer that said so was lost, or the row is of an older database: nothing expires that has arrived.
        if (
          state === 'receiving' &&
          mayKeepObject(lease.upload) &&
          (await completeIfWhole(lease, null, { store, now }))
        )
          return null
        return end(lease, 'expired', null)
      })
      if (ended?.hasNoPartsInFlight) await freeStorage(ended.upload)
      return ended !== null
    },
    async cleanUp(id) {
      const upload = await uploads.find(id)
      if (upload && hasEnded(upload)) await freeStorage(upload)
    },
    deleteObject,
    observeFile(id, by) {
      return hold(id, async (lease) => {
        if (lease.upload.state !== 'completed') return 'there'
        const seen = await observeFile(lease, { store, now, lossConfirmMs })
        if (seen !== 'lost') return seen
        // Not cancelled: the sweeper deletes what its owner gave up, and should the object come back it may be the only copy.
        await failUpload(lease, 'lost', by)
        return 'ended'
      })
    },
    restore(id, by) {
      checkId(id)
      return hold(id, async (lease) => {
        const { state, failure, deleteDueAt, completedAt, key } = lease.upload
        const isDeleted = state === 'cancelled' && deleteDueAt !== null
        const isLost = state === 'failed' && failure === 'lost'
        if (completedAt === null || !(isDeleted || isLost)) throw notDeleted()
        if ((await store.stat(key)) === null) throw notDeleted()
        await lease.save({ state: 'completed', by, deleteDueAt: null, lossSeenAt: null, release: true })
      })
    },
    async cleanUpAfter(upload) {
      if (!hasEnded(upload)) return
      if (upload.needsCleanup) await freeStorage(upload)
      if (upload.concat?.kind !== 'final' || upload.state !== 'completed') return
      for (const id of new Set(upload.concat.from)) await endPartial(id)
    },
  }
}

function notDeleted(): UploadError {
  return errors.notRestorable()
}
