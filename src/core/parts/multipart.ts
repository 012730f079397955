import type { Lease } from '../lease.ts'
import { objectMetadataOf } from '../pairing/origin.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { MultipartId } from '../upload.ts'

/**
 * Creates the multipart upload of the lease's upload, which the caller saves. If the answer of the store is lost, or a retry may have
 * created a second one, the ledger has an entry that no save settles: the row then needs clean-up, which aborts what it does not name.
 */
export async function createMultipart(lease: Lease, store: ObjectStore, partSize: number): Promise<MultipartId> {
  const { upload, ledger } = lease
  await lease.confirm()
  return ledger.creating(upload.key, (onAmbiguousCreate) =>
    store.createMultipart(upload.key, { ...objectMetadataOf(upload), partSize, onAmbiguousCreate }),
  )
}
