import { isRefusal, UploadError } from '../errors.ts'
import { eventOf } from '../events.ts'
import type { PartWriter } from '../parts/part-writer.ts'
import {
  type Change,
  HandleLost,
  type Lease,
  type ObjectFacts,
  ObjectMissing,
  type ObjectStore,
  type Sessions,
} from '../ports.ts'
import { type Actor, hasEveryByte, type Session } from '../upload.ts'
import { writeJoinedParts } from './concatenate.ts'
import { isAsExpected, otherFile, readDigests } from './file-digest.ts'

export interface Finishing {
  store: ObjectStore
  sessions: Sessions
  now(): Date
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
 * @throws UploadError UPLOAD_LOST when the store has lost the parts (the session is `failed` then); STORE_UNAVAILABLE,
 * DATABASE_ERROR when trying again may help (the session stays `finishing`)
 */
export async function finishUpload(lease: Lease, options: Finishing): Promise<void> {
  const { session } = lease
  if (session.state === 'completed') return
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
    if (isLost(error)) await recordLoss(lease, error, options.by)
    // Nobody will ever send the partial upload again that was given up meanwhile.
    if (isFinal && isRefusal(error, 'UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED'))
      await recordLoss(lease, new HandleLost('a partial upload is gone', { cause: error }), options.by)
    throw error
  }
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

/**
 * Says `completed` and writes the event in one statement; gives the lease back. A file that has other digests than its
 * client said is not completed, whatever the store thinks of it.
 */
export async function recordCompletion(
  lease: Lease,
  facts: ObjectFacts,
  { now, store, by }: Pick<Finishing, 'now' | 'store' | 'by'>,
): Promise<void> {
  const { session } = lease
  const failed = (error: unknown): never => {
    // There is an object of which the session does not know.
    lease.suspect()
    throw error
  }
  const digests = session.digests && (await readDigests(session.digests, store, session.key).catch(failed))
  if (digests && !isAsExpected(digests)) await recordOtherFile(lease, by)
  const size = facts.size
  if (session.size !== null && session.size !== size)
    throw new HandleLost(`the object has ${size} bytes and not ${session.size}`)
  const change: Change = {
    state: 'completed',
    by,
    size,
    offset: size,
    head: null,
    tail: [],
    etag: facts.etag,
    ...(digests && { digests }),
    completedAt: now(),
    // A partial upload that is never joined must not lie there for ever.
    ...(session.concat?.kind === 'partial' ? {} : { expiresAt: null }),
    ...(session.tail.length > 0 ? { isDirty: true } : {}),
    event: eventOf('upload.completed', { ...session, size }),
    release: true,
  }
  await lease.save(change).catch(failed)
}

/**
 * Whether the store has lost what the session names: its parts, a piece, or what it is to be made of. Whoever was overtaken sees
 * the same, because others have removed it, and has no lease to say so with.
 */
export function isLost(error: unknown): error is HandleLost | ObjectMissing {
  return error instanceof HandleLost || error instanceof ObjectMissing
}

/** Says `failed`: the parts are gone from the store, and the client must start anew. */
export async function recordLoss(lease: Lease, cause: Error, by: Actor | null): Promise<never> {
  await recordFailure(lease, 'lost', by)
  throw new UploadError(
    'UPLOAD_LOST',
    'The store lost what was sent of this upload. Please start again.',
    {},
    { cause },
  )
}

/** Says `failed`: the file that arrived is not the one whose digest was announced. @throws UploadError CHECKSUM_MISMATCH */
export async function recordOtherFile(lease: Lease, by: Actor | null): Promise<never> {
  await recordFailure(lease, 'digest', by)
  throw otherFile()
}

/** Says `failed`, and why; what may be in the store of it is left to the sweeper. */
export function recordFailure(lease: Lease, failure: 'lost' | 'digest' | 'type', by: Actor | null): Promise<void> {
  const { session } = lease
  // What was refused at first sight left nothing.
  const leftNothing = failure === 'type' && session.handle === null && session.tail.length === 0
  return lease.save({
    state: 'failed',
    by,
    failure,
    head: null,
    ...(leftNothing ? {} : { isDirty: true }),
    event: eventOf('upload.failed', { ...session, failure }),
    release: true,
  })
}
