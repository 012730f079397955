import type { Lease } from '../lease.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import type { UploadRecord } from '../upload.ts'

type FinishingFields = Pick<UploadPatch, 'size' | 'offset' | 'prefix' | 'tail' | 'digests' | 'release'>

/**
 * `receiving` → `finishing`: every byte is stored and recorded, and the store has still to make the object. From here on every request
 * that asks for the upload joins the finish, and the background job finds it. The offset, the prefix and the tail are written as they
 * were read: those of parts that arrived by number were computed, and the row does not have them.
 */
export function beginFinishing(lease: Lease, patch: FinishingFields = {}): Promise<void> {
  return lease.save(finishingPatch(lease.upload, patch))
}

/** The same, for the statement that records the last bytes. */
export function finishingPatch({ offset, prefix, tail }: UploadRecord, patch: FinishingFields): UploadPatch {
  return { offset, prefix, tail, ...patch, state: 'finishing' }
}
