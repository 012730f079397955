/* The two ends of a finish: the object is there and the session says so, or the file is refused. */
import { eventOf } from '../events.ts'
import { digestMismatch, matchesExpected, readDigests } from '../file-digest.ts'
import { type Lease, NoSuchUpload, type ObjectInfo, type ObjectStore, type UploadPatch } from '../ports.ts'
import type { Actor } from '../upload.ts'

export interface RecordOptions {
  store: ObjectStore
  now(): Date
  /** Who wants it to be complete; `null`: the server, which was asked before. */
  by: Actor | null
}

/**
 * Says `completed` and writes the event in one statement; gives the lease back. A file that has other digests than its
 * client said is not completed, whatever the store thinks of it.
 */
export async function completeUpload(lease: Lease, info: ObjectInfo, { now, store, by }: RecordOptions): Promise<void> {
  const { upload } = lease
  const failed = (error: unknown): never => {
    // There is an object of which the session does not know.
    lease.expectOrphan()
    throw error
  }
  const digests = upload.digests && (await readDigests(upload.digests, store, upload.key).catch(failed))
  if (digests && !matchesExpected(digests)) await failDigestMismatch(lease, by)
  const size = info.size
  if (upload.size !== null && upload.size !== size)
    throw new NoSuchUpload(`the object has ${size} bytes and not ${upload.size}`)
  const change: UploadPatch = {
    state: 'completed',
    by,
    size,
    offset: size,
    prefix: null,
    tail: [],
    etag: info.etag,
    ...(digests && { digests }),
    completedAt: now(),
    lossSeenAt: null,
    // A partial upload that is never joined must not lie there for ever.
    ...(upload.concat?.kind === 'partial' ? {} : { expiresAt: null }),
    ...(upload.tail.length > 0 ? { needsCleanup: true } : {}),
    event: eventOf('upload.completed', { ...upload, size }),
    release: true,
  }
  await lease.save(change).catch(failed)
}

/** Says `failed`: the file that arrived is not the one whose digest was announced. @throws UploadError CHECKSUM_MISMATCH */
export async function failDigestMismatch(lease: Lease, by: Actor | null): Promise<never> {
  await failUpload(lease, 'digest', by)
  throw digestMismatch()
}

/** Says `failed`, and why; what may be in the store of it is left to the sweeper. */
export function failUpload(lease: Lease, failure: 'lost' | 'digest' | 'type', by: Actor | null): Promise<void> {
  const { upload } = lease
  // What was refused at first sight left nothing.
  const leftNothing = failure === 'type' && upload.multipartId === null && upload.tail.length === 0
  return lease.save({
    state: 'failed',
    by,
    failure,
    prefix: null,
    ...(leftNothing ? {} : { needsCleanup: true }),
    event: eventOf('upload.failed', { ...upload, failure }),
    release: true,
  })
}
