import { eventOf } from '../events.ts'
import type { Lease } from '../lease.ts'
import type { Actor } from '../upload.ts'

/** Why an upload failed: its parts are gone, its digest or its type is not the announced one. */
export type Failure = 'lost' | 'digest' | 'type'

/** Any open state → `failed`, with its event; gives the lease back. What the store may have of the upload is left to the sweeper. */
export function failUpload(lease: Lease, failure: Failure, by: Actor | null): Promise<void> {
  const { upload } = lease
  // A type that was refused by the first bytes has left nothing in the store.
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
