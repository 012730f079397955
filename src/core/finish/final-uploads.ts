/*
 * A final upload takes no bytes: it waits until the partial uploads it names are whole, and is then joined of them. Until then
 * it may even be unknown how long it is.
 */

import { type Looking, settleJoined } from '../content/first-bytes.ts'
import { UploadError } from '../errors.ts'
import type { Guard } from '../guard.ts'
import type { Lease, Locker, ObjectStore, Sessions } from '../ports.ts'
import { tooLarge } from '../rules/size.ts'
import { type Actor, ownerOf, type Session } from '../upload.ts'
import { findPartials, lengthOf, readHead } from './concatenate.ts'

export interface Joining {
  sessions: Sessions
  store: ObjectStore
  locker: Locker
  guard: Guard
  /** Absent: a file is what it is said to be. */
  looking: Looking | null
  now(): Date
}

export interface FinalUploads {
  /** Its partial uploads, in order; none of any other upload. */
  partialsOf(session: Session): Promise<Session[]>
  /**
   * How long it is, as far as its partial uploads know; once known that is recorded. `isReady`: all of them are whole.
   * @throws UploadError FILE_TOO_LARGE, and as `findPartials`
   */
  measure(actor: Actor, session: Session): Promise<{ size: number | null; isReady: boolean }>
  /** @throws UploadError LENGTH_MISMATCH while one of its partial uploads is not whole */
  refuseUnready(session: Session): Promise<void>
  /** What the file is, its first partial upload says. @throws UploadError TYPE_NOT_ALLOWED: the upload has failed */
  settle(lease: Lease, partials: Session[], by: Actor | null): Promise<void>
}

/** Final uploads over one store, one database and one lock. */
export function createFinalUploads({ sessions, store, locker, guard, looking, now }: Joining): FinalUploads {
  function partialsOf(session: Session): Promise<Session[]> {
    const from = session.concat?.kind === 'final' ? session.concat.from : []
    return findPartials(ownerOf(session), from, sessions, now())
  }

  return {
    partialsOf,
    async measure(actor, session) {
      const partials = await partialsOf(session)
      const size = lengthOf(partials)
      if (size !== null && session.size === null) {
        if (size > session.maxSize) throw tooLarge(session.role, session.maxSize, size)
        await locker.hold(session.id, guard.admitted(actor, 'describe'), async (lease) => {
          if (lease.session.size === null) await lease.save({ size })
        })
      }
      return { size, isReady: areWhole(partials) }
    },
    async refuseUnready(session) {
      if (!areWhole(await partialsOf(session))) throw notReady()
    },
    async settle(lease, partials, by) {
      if (!looking) return
      const size = Math.min(looking.check.headSize, lease.session.size!)
      await settleJoined(lease, await readHead(partials, size, store), looking, by)
    },
  }
}

/** Whether the upload is a final one that is still to be joined. */
export function awaitsJoin({ concat, state }: Session): boolean {
  return concat?.kind === 'final' && state === 'receiving'
}

/** Nobody can say that a final upload is whole: its partial uploads are, or it is not. */
export function notReady(): UploadError {
  return new UploadError('LENGTH_MISMATCH', 'The partial uploads of this file are not all complete.')
}

function areWhole(partials: Session[]): boolean {
  return partials.every((partial) => partial.state === 'completed')
}
