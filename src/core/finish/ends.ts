/*
 * The ends of an upload that are not completion, and what is cleaned up after any end. An end is said in the session first, and
 * then freed in the store: what a crash in between leaves, or a store that is away, the sweeper finds by the session.
 */
import type { Verb } from '../access.ts'
import { alreadyCompleted, stillFinishing } from '../append/append-refusals.ts'
import { type Facts, isRefusal, UploadError } from '../errors.ts'
import { eventOf } from '../events.ts'
import type { Guard } from '../guard.ts'
import { type Claiming, isQuiet, locked } from '../parts/part-claims.ts'
import type { Lease, Locker, ObjectStore } from '../ports.ts'
import { checkId, isJoined, joined, refuseEnded } from '../session-view.ts'
import { type Actor, hasEnded, type Session } from '../upload.ts'
import { cleanUp, mayKeepObject } from './clean-up.ts'
import { completeIfWhole, observeFile } from './loss.ts'
import { recordFailure } from './record-end.ts'

export interface Ending {
  store: ObjectStore
  locker: Locker
  claiming: Claiming
  guard: Guard
  now(): Date
  /** How long the object of a completed upload stays after it was deleted. */
  deleteGraceMs: number
  /** How long after the first observation a second one is believed. */
  lossConfirmMs: number
  /** Ends the bodies of numbered chunks that are being read here. */
  stopChunks(refusal: () => Promise<UploadError>, id: string): void
  onFault(error: unknown, facts: Facts): void
}

export interface Ends {
  /** See `Engine.cancel`. */
  cancel(actor: Actor, id: string, how?: { sparesCompleted?: boolean; endsAppend?: boolean }): Promise<void>
  /** See `Engine.expireNow`. */
  expireNow(actor: Actor, id: string): Promise<void>
  /** Ends an open upload that stands at `offset` still, for another one that was asked for in its place. */
  giveWay(id: string, offset: number, by: Actor): Promise<void>
  /** Ends the upload whose lease is held, and gives the lease back. What it used is to be freed by `clean`. */
  giveUp(lease: Lease, by: Actor): Promise<void>
  /** See `RunningEngine.expire`. */
  expire(id: string): Promise<boolean>
  /** See `RunningEngine.clean`. */
  clean(id: string): Promise<void>
  /** See `RunningEngine.deleteObject`. */
  deleteObject(id: string): Promise<boolean>
  /** See `RunningEngine.observeFile`. */
  observeFile(id: string, by: Actor): Promise<'there' | 'missing' | 'ended'>
  /** See `RunningEngine.restore`. */
  restore(id: string, by: Actor): Promise<void>
  /** Frees what a completed upload no longer needs: its leftovers, and the partial uploads it was made of. Of one that goes on nothing. */
  cleanUpAfter(session: Session): Promise<void>
}

interface Ended {
  session: Session
  /** No part of it is still on its way to the store. */
  isQuiet: boolean
}

/** The ends of uploads over one store and one lock. */
export function createEnds(options: Ending): Ends {
  const { store, locker, claiming, guard, now, deleteGraceMs, lossConfirmMs, stopChunks, onFault } = options
  const { sessions } = claiming
  const deletionDue = () => new Date(now().getTime() + deleteGraceMs)

  async function free(session: Session): Promise<void> {
    await cleanUp(session, store, sessions, deletionDue())
    // Nothing is kept for those who change their mind.
    if (deleteGraceMs === 0 && session.state !== 'completed') await deleteObject(session.id)
  }

  /** Ends the upload for somebody who may, unless `refuse` throws. */
  async function endFor(
    actor: Actor,
    id: string,
    verb: Verb,
    state: 'cancelled' | 'expired',
    refuse: (session: Session) => void,
  ): Promise<void> {
    checkId(id)
    const ended = await locker.hold(id, guard.admitted(actor, verb), async (lease) => {
      await guard.permitted(actor, verb, lease.session)
      refuseEnded(lease.session, now())
      if (isJoined(lease.session)) throw alreadyCompleted()
      refuse(lease.session)
      return end(lease, state, actor)
    })
    if (!ended.isQuiet) return
    await free(ended.session).catch((error: unknown) => onFault(error, { uploadId: id, what: 'cleaning up' }))
  }

  /** A part that is still on its way to the store would outlive the cleaning: then it is left to the sweeper. */
  async function end(
    lease: Lease,
    state: 'cancelled' | 'expired',
    by: Actor | null,
    failure?: typeof joined,
  ): Promise<Ended> {
    const { session } = lease
    const outcome = Promise.withResolvers<UploadError>()
    stopChunks(() => outcome.promise, session.id)
    try {
      const quiet = await isQuiet(lease, claiming)
      await lease.save({
        state,
        by,
        ...(failure && { failure }),
        isDirty: true,
        expiresAt: null,
        ...(mayKeepObject(session) && session.state === 'completed' && { deleteDueAt: deletionDue() }),
        event: eventOf(`upload.${state}`, session),
        release: true,
      })
      return { session, isQuiet: quiet }
    } finally {
      outcome.resolve(endOf(session))
    }
  }

  /** What is answered to whoever was stopped for it. Should it not have been said after all, they may come again. */
  function endOf(session: Session): UploadError {
    try {
      refuseEnded(session, now())
    } catch (error) {
      if (isRefusal(error)) return error
    }
    return locked()
  }

  /** What the server does by itself: nobody asks, so nobody is refused. */
  const hold = <T>(id: string, work: (lease: Lease) => Promise<T>) => locker.hold(id, () => {}, work)

  /** A partial upload that is part of a file now is no longer needed. Should this be cut off, it expires. */
  async function endPartial(id: string): Promise<void> {
    const partial = await hold(id, async (lease) => {
      if (lease.session.state === 'completed') await end(lease, 'cancelled', null, joined)
      return lease.session
    })
    if (hasEnded(partial)) await free(partial)
  }

  /** Under the lease, so that it and an undoing never meet. */
  function deleteObject(id: string): Promise<boolean> {
    return hold(id, async (lease) => {
      const { state, deleteDueAt, key } = lease.session
      if (state === 'completed' || !hasEnded(lease.session) || deleteDueAt === null || deleteDueAt > now()) return false
      await store.remove([key])
      await lease.save({ deleteDueAt: null, release: true })
      return true
    })
  }

  return {
    cancel(actor, id, { sparesCompleted = false, endsAppend = false } = {}) {
      const spares = sparesCompleted || actor.capability !== undefined
      return endFor(actor, id, endsAppend ? 'append' : 'cancel', 'cancelled', ({ state }) => {
        if (spares && state === 'completed') throw alreadyCompleted()
      })
    },
    expireNow(actor, id) {
      return endFor(actor, id, 'expire', 'expired', ({ state }) => {
        if (state === 'completed') throw alreadyCompleted()
        if (state === 'finishing') throw stillFinishing()
      })
    },
    async giveWay(id, offset, by) {
      const ended = await hold(id, async (lease) => {
        const isStill = lease.session.state === 'receiving' && lease.session.offset === offset
        return isStill ? end(lease, 'cancelled', by) : null
      })
      if (ended?.isQuiet) await free(ended.session)
    },
    async giveUp(lease, by) {
      await end(lease, 'cancelled', by)
    },
    async expire(id) {
      const ended = await hold(id, async (lease) => {
        const { state, expiresAt } = lease.session
        // Of what is complete, only a partial upload that was never joined has an expiry.
        const mayExpire = state === 'receiving' || state === 'completed'
        if (!mayExpire || expiresAt === null || expiresAt > now()) return null
        // The answer that said so was lost, or the row is of an older database: nothing expires that has arrived.
        if (
          state === 'receiving' &&
          mayKeepObject(lease.session) &&
          (await completeIfWhole(lease, null, { store, now }))
        )
          return null
        return end(lease, 'expired', null)
      })
      if (ended?.isQuiet) await free(ended.session)
      return ended !== null
    },
    async clean(id) {
      const session = await sessions.find(id)
      if (session && hasEnded(session)) await free(session)
    },
    deleteObject,
    observeFile(id, by) {
      return hold(id, async (lease) => {
        if (lease.session.state !== 'completed') return 'there'
        const seen = await observeFile(lease, { store, now, lossConfirmMs })
        if (seen !== 'lost') return seen
        // Not cancelled: the sweeper deletes what its owner gave up, and should the object come back it may be the only copy.
        await recordFailure(lease, 'lost', by)
        return 'ended'
      })
    },
    restore(id, by) {
      checkId(id)
      return hold(id, async (lease) => {
        const { state, failure, deleteDueAt, completedAt, key } = lease.session
        const isDeleted = state === 'cancelled' && deleteDueAt !== null
        const isLost = state === 'failed' && failure === 'lost'
        if (completedAt === null || !(isDeleted || isLost)) throw notDeleted()
        if ((await store.stat(key)) === null) throw notDeleted()
        await lease.save({ state: 'completed', by, deleteDueAt: null, lossSeenAt: null, release: true })
      })
    },
    async cleanUpAfter(session) {
      if (!hasEnded(session)) return
      if (session.isDirty) await free(session)
      if (session.concat?.kind !== 'final' || session.state !== 'completed') return
      for (const id of new Set(session.concat.from)) await endPartial(id)
    },
  }
}

function notDeleted(): UploadError {
  return new UploadError('UPLOAD_GONE', 'There is no deleted file of this upload that could be restored.')
}
