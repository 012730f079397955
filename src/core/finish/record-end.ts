/* The two ends of a finish: the object is there and the session says so, or the file is refused. */
import { eventOf } from '../events.ts'
import { type Change, HandleLost, type Lease, type ObjectFacts, type ObjectStore } from '../ports.ts'
import type { Actor } from '../upload.ts'
import { isAsExpected, otherFile, readDigests } from './file-digest.ts'

export interface Recording {
  store: ObjectStore
  now(): Date
  /** Who wants it to be complete; `null`: the server, which was asked before. */
  by: Actor | null
}

/**
 * Says `completed` and writes the event in one statement; gives the lease back. A file that has other digests than its
 * client said is not completed, whatever the store thinks of it.
 */
export async function recordCompletion(lease: Lease, facts: ObjectFacts, { now, store, by }: Recording): Promise<void> {
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
    lossSeenAt: null,
    // A partial upload that is never joined must not lie there for ever.
    ...(session.concat?.kind === 'partial' ? {} : { expiresAt: null }),
    ...(session.tail.length > 0 ? { isDirty: true } : {}),
    event: eventOf('upload.completed', { ...session, size }),
    release: true,
  }
  await lease.save(change).catch(failed)
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
