import { isRefusal, UploadError } from '../errors.ts'
import type { PartWriter } from '../parts/part-writer.ts'
import { HandleLost, type Lease, type ObjectFacts, type Sessions } from '../ports.ts'
import { isJoined } from '../session-view.ts'
import { type Actor, hasEveryByte, type Session } from '../upload.ts'
import { writeJoinedParts } from './concatenate.ts'
import { failLost, isLost, type LossOptions, observeLoss } from './loss.ts'
import { recordCompletion } from './record-end.ts'

export interface Finishing extends LossOptions {
  sessions: Sessions
  /** A writer over the lease's session, for the tail that must become the last part. */
  openWriter(lease: Lease, by: Actor | null): PartWriter
  /** Who wants it to be complete; `null`: the server, which was asked before. */
  by: Actor | null
  /** The partial uploads of a final one, in order. */
  partialsOf(session: Session): Promise<Session[]>
  /** Settles what the file of a final upload is before it is begun. @throws UploadError TYPE_NOT_ALLOWED: it has failed */
  settleJoined(lease: Lease, partials: Session[], by: Actor | null): Promise<void>
}

/**
 * Makes the object of an upload whose bytes are all recorded, and says so in the session only when the store has
 * confirmed it. May be called again after any failure, by anybody who holds the lease.
 * @throws UploadError UPLOAD_LOST when the store has surely lost the parts (the session is `failed` then); STORE_UNAVAILABLE,
 * DATABASE_ERROR when trying again may help (the session stays `finishing`)
 */
export async function finishUpload(lease: Lease, options: Finishing): Promise<void> {
  const { session } = lease
  if (session.state === 'completed' || isJoined(session)) return
  const isFinal = session.concat?.kind === 'final' && session.size !== null
  if (!isFinal && !hasEveryByte(session))
    throw new UploadError('LENGTH_MISMATCH', 'The upload is not whole yet.', { offset: session.offset })
  // From here on everybody who asks joins the finish, and the background finisher knows of it.
  if (session.state === 'receiving') {
    await lease.save({ state: 'finishing', offset: session.offset, head: session.head, tail: session.tail })
  }
  try {
    if (isFinal && !hasEveryByte(session)) {
      const partials = await options.partialsOf(session)
      if (session.handle === null) await options.settleJoined(lease, partials, options.by)
      await writeJoinedParts(lease, partials, options.store)
    }
    const whole = await options.openWriter(lease, options.by).close()
    await recordCompletion(lease, whole ?? (await joinParts(lease, options)), options)
  } catch (error) {
    if (isFinal) await failWithoutPartials(lease, error, options)
    if (isLost(error)) return observeLoss(lease, error, options.by, options)
    throw error
  }
}

/** A partial upload that was given up meanwhile will never come again: our own rows say so, whatever the store does. */
async function failWithoutPartials(lease: Lease, error: unknown, { partialsOf, by }: Finishing): Promise<void> {
  const refusal = isLost(error) ? await partialsOf(lease.session).catch((thrown: unknown) => thrown) : error
  if (isRefusal(refusal, 'UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED'))
    await failLost(lease, new HandleLost('a partial upload is gone', { cause: refusal }), by)
}

async function joinParts(lease: Lease, { store, sessions }: Finishing): Promise<ObjectFacts> {
  const { session } = lease
  if (session.handle === null) throw new HandleLost('no multipart upload was begun')
  const parts = await sessions.parts(session.id)
  const size = parts.reduce((bytes, part) => bytes + part.size, 0)
  if (size !== session.size) throw new HandleLost(`the parts hold ${size} bytes and not ${session.size}`)
  await lease.confirm()
  return store.finish(session.key, session.handle, parts)
}
