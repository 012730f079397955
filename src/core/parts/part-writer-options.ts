import type { Lease } from '../lease.ts'
import type { MemoryBudget } from '../memory/memory-budget.ts'
import type { TailCache } from '../memory/tail-cache.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { UploadPatch } from '../ports/uploads.ts'

/** What a part writer works with, and what its body asks of it. */
export interface PartWriterOptions {
  store: ObjectStore
  lease: Lease
  budget: MemoryBudget
  cache: TailCache
  /** Parts of this upload that may be on their way to the store at once. */
  partsInFlight: number
  partSize: number
  /** The length of the file; `null` while it is unknown. */
  size: number | null
  /** A new key for a tail object of this upload. */
  nextTailKey(): string
  /** What every save changes as well: when the upload expires. */
  expiryPatch(): UploadPatch
  /** Numbers of recorded parts behind the offset: their rows are removed before they are overwritten. */
  existingParts: Set<number>
  /** The chunks are not used elsewhere: their memory is given back as soon as the store has the part. */
  canDetach: boolean
  /** A digest must be verified before `flush` or `close`, and nothing is recorded until then. */
  awaitsDigest: boolean
  /** Called after every save. */
  onRecorded(offset: number): void
}
