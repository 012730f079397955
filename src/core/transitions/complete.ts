import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import { eventOf } from '../events.ts'
import { matchesExpected, readDigests } from '../file-digest.ts'
import type { Lease } from '../lease.ts'
import { NoSuchUpload, type WrittenObject } from '../ports/object-store.ts'
import type { Actor } from '../upload.ts'
import { failUpload } from './fail.ts'
import { removeLeftovers } from './leftovers.ts'

/**
 * `receiving` or `finishing` → `completed`: the store has confirmed the object. Saves the state and the event in one statement, which
 * gives the lease back. A file with other digests than its client announced is not completed, whatever the store says.
 * @param by who asked for it; `null`: the server, after the client had asked
 * @throws NoSuchUpload when the object has another size than the upload
 */
export async function completeUpload(
  context: EngineContext,
  lease: Lease,
  object: WrittenObject,
  by: Actor | null,
): Promise<void> {
  const { upload } = lease
  const { store, now, newSteps } = context
  const digests = upload.digests && (await readDigests(upload.digests, store, upload.key))
  if (digests && !matchesExpected(digests)) await failDigestMismatch(lease, by)
  const { size, etag, crc32 } = object
  if (upload.size !== null && upload.size !== size)
    throw new NoSuchUpload(`the object has ${size} bytes and not ${upload.size}`)
  await lease.save({
    state: 'completed',
    by,
    size,
    offset: size,
    prefix: null,
    tail: [],
    etag,
    crc32,
    ...(digests && { digests }),
    completedAt: now(),
    lossSeenAt: null,
    // A partial upload that is never concatenated must not stay for ever.
    ...(upload.isPartial ? {} : { expiresAt: null }),
    ...(upload.isPartial ? {} : { steps: newSteps(upload) }),
    event: eventOf('upload.completed', { ...upload, size }),
    release: true,
  })
  removeLeftovers(context, lease)
}

/** The file that arrived is not the one whose digest was announced: the upload has failed. @throws UploadError CHECKSUM_MISMATCH */
export async function failDigestMismatch(lease: Lease, by: Actor | null): Promise<never> {
  await failUpload(lease, 'digest', by)
  throw errors.digestMismatch({ isComplete: true })
}
