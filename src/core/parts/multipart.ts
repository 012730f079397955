import type { Lease } from '../lease.ts'
import { objectMetadataOf } from '../pairing/origin.ts'
import type { ObjectStore } from '../ports/object-store.ts'
import type { MultipartId } from '../upload.ts'

/** The multipart upload of the lease's upload: the one that the row names, or one that is created when a part is sent. */
export class Multipart {
  readonly #create: () => Promise<MultipartId>
  #id: MultipartId | null
  #creating: Promise<MultipartId> | null = null

  constructor(lease: Lease, store: ObjectStore, partSize: number) {
    this.#id = lease.upload.multipartId
    this.#create = () => createMultipart(lease, store, partSize)
  }

  /** `null` until the store has created it. */
  get id(): MultipartId | null {
    return this.#id
  }

  /** Its id. Creates it once, however many parts ask for it at the same time. */
  async open(): Promise<MultipartId> {
    this.#creating ??= this.#id === null ? this.#create() : Promise.resolve(this.#id)
    this.#id = await this.#creating
    return this.#id
  }
}

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
