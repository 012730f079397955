/*
 * A numbered chunk may be sent again and replaces itself: a client that did not hear the answer must. Its bytes were not reserved a
 * second time, so they are counted for the owner's day when they come. An owner whose day is full may still send what is missing, which was
 * counted when the upload was created, but no chunk that is there already.
 */
import { UploadError } from '../errors.ts'
import type { Sessions } from '../ports.ts'
import { formatSize } from '../size.ts'
import { ownerOf, type Session, wordFor } from '../upload.ts'

export interface SendingAgain {
  sessions: Pick<Sessions, 'countAgain' | 'parts'>
  now(): Date
  /** Bytes; `null`: any number. */
  bytesPerDayOf(session: Session): number | null
}

export interface SentAgain {
  /** @throws UploadError QUOTA_EXCEEDED when the part is there and its owner's day is full */
  refuse(session: Session, number: number): Promise<void>
  count(session: Session, bytes: number): Promise<void>
}

// Of owners whose day is full; each server finds out for itself.
const mostKnown = 5000

/** Counts chunks that are sent again, over the usage that `sessions` keeps. */
export function createSentAgain({ sessions, now, bytesPerDayOf }: SendingAgain): SentAgain {
  /** The UTC day on which an owner had no room left. */
  const full = new Map<string, string>()
  const today = () => now().toISOString().slice(0, 10)

  return {
    async refuse(session, number) {
      const limit = bytesPerDayOf(session)
      if (limit === null || full.get(wordFor(ownerOf(session))) !== today()) return
      if (!(await sessions.parts(session.id)).some((part) => part.number === number)) return
      throw new UploadError(
        'QUOTA_EXCEEDED',
        `This chunk is there already, and you have sent your ${formatSize(limit)} of today (UTC).`,
        { rule: 'bytesPerDay', number },
      )
    },
    async count(session, bytes) {
      const limit = bytesPerDayOf(session)
      const { ownerId, tenant } = session
      const sent = await sessions.countAgain({ ownerId, tenant }, bytes)
      if (limit === null || sent <= limit) return
      if (full.size >= mostKnown) full.clear()
      full.set(wordFor(ownerOf(session)), today())
    },
  }
}
