import { admit, type Verb } from '../access.ts'
import { stillFinishing } from '../append/append-refusals.ts'
import type { Background } from '../background.ts'
import { isRefusal } from '../errors.ts'
import type { Guard } from '../guard.ts'
import { type Claiming, isQuiet, locked } from '../parts/part-claims.ts'
import type { Lease, Locker } from '../ports.ts'
import { closeRanks, refuseEnded } from '../session-view.ts'
import { type Actor, hasEveryByte, type Session } from '../upload.ts'
import { within } from '../within.ts'
import type { Ends } from './ends.ts'
import { type Finishing, finishUpload } from './finish.ts'

export interface JoiningFinish extends Omit<Finishing, 'by'>, Pick<Background, 'later'>, Pick<Ends, 'cleanUpAfter'> {
  locker: Locker
  guard: Guard
  claiming: Claiming
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
  check: (session: Session) => void,
  { locker, finishWaitMs }: JoiningFinish,
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const until = performance.now() + finishWaitMs
  for (;;) {
    let isOpen = true
    const note = (session: Session) => {
      check(session)
      isOpen = session.state === 'receiving'
    }
    try {
      return await locker.hold(id, note, work)
    } catch (error) {
      if (!isRefusal(error, 'UPLOAD_LOCKED') || isOpen || performance.now() >= until) throw error
    }
  }
}

/**
 * Finishes the upload unless somebody has, and waits for it no longer than an answer may take; what takes longer goes on.
 * @param actor who wants it to be complete; `null` when that was decided before
 * @throws UploadError as `finishUpload`; STORE_UNAVAILABLE while it is still being finished
 */
export async function joinFinish(
  id: string,
  actor: Actor | null,
  verb: Verb,
  options: JoiningFinish,
): Promise<Session> {
  const { guard, claiming, now } = options
  const check = actor ? guard.admitted(actor, verb) : () => {}
  const finishing = holdInTurn(id, check, options, async (lease) => {
    refuseEnded(lease.session, now())
    // The tail becomes a part by a number that a chunk may be writing just now.
    const isOpen = lease.session.state === 'receiving'
    if ((isOpen || verb === 'finish') && !(await isQuiet(lease, claiming))) throw locked()
    if (actor && isOpen && verb !== 'finish') {
      admit(actor, lease.session, 'complete', now())
      await guard.permitted(actor, 'complete', lease.session)
    }
    await closeRanks(lease.session, options.sessions)
    // Who only asked how far it is did not say that it is whole, and a chunk may have gone since that was seen.
    if (isOpen && verb === 'describe' && lease.session.concat?.kind !== 'final' && !hasEveryByte(lease.session))
      return lease.session
    await finishUpload(lease, { ...options, by: actor })
    return lease.session
  })
  options.later(
    finishing.then(options.cleanUpAfter, () => {}),
    { uploadId: id, what: 'cleaning up' },
  )
  const session = await within(finishing, options.finishWaitMs, options.draining).catch((error: unknown) => {
    throw isRefusal(error, 'UPLOAD_LOCKED') ? stillFinishing() : error
  })
  return session ?? Promise.reject(stillFinishing())
}
