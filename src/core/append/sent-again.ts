/*
 * A numbered chunk may be sent again and replaces itself: a client that did not hear the answer must. Its bytes were not reserved a
 * second time, so they are counted for the owner's day when they come. An owner whose day is full may still send what is missing, which was
 * counted when the upload was created, but no chunk that is there already. Bytes that were refused are sent again as well: they are counted
 * beside those that the upload was created for.
 */
import type { Background } from '../background.ts'
import { isRefusal, UploadError } from '../errors.ts'
import type { Sessions } from '../ports.ts'
import { formatSize } from '../size.ts'
import { ownerOf, type Session, wordFor } from '../upload.ts'

export interface SendingAgain extends Pick<Background, 'later'> {
  sessions: Pick<Sessions, 'countAgain' | 'parts'>
  now(): Date
  /** Bytes; `null`: any number. */
  bytesPerDayOf(session: Session): number | null
}

export interface SentAgain {
  /** @throws UploadError QUOTA_EXCEEDED when the part is there and its owner's day is full */
  refuse(session: Session, number: number): Promise<void>
  count(session: Session, bytes: number): Promise<void>
  /**
   * Counts `bytes` of a body that came and are kept nowhere, beside the answer; nothing when `cause` is the server's trouble and no
   * refusal of what the client sent.
   */
  countRefused(session: Session, bytes: number, cause: unknown): void
}

// Of owners whose day is full; each server finds out for itself.
const mostKnown = 5000

/** Counts chunks that are sent again, over the usage that `sessions` keeps. */
export function createSentAgain({ sessions, now, bytesPerDayOf, later }: SendingAgain): SentAgain {
  /** The UTC day on which an owner had no room left. */
  const full = new Map<string, string>()
  const today = () => now().toISOString().slice(0, 10)

  async function count(session: Session, bytes: number): Promise<void> {
    const limit = bytesPerDayOf(session)
    const { ownerId, tenant } = session
    const sent = await sessions.countAgain({ ownerId, tenant }, bytes)
    if (limit === null || sent <= limit) return
    if (full.size >= mostKnown) full.clear()
    full.set(wordFor(ownerOf(session)), today())
  }

  return {
    count,
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
    countRefused(session, bytes, cause) {
      const isClients = isRefusal(cause) && (cause.status < 500 || cause.code === 'BODY_TIMEOUT')
      if (isClients && bytes > 0)
        later(count(session, bytes), { uploadId: session.id, what: 'counting bytes that were refused' })
    },
  }
}
