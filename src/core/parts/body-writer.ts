import type { ObjectInfo } from '../ports/object-store.ts'

/** Takes the bytes of one body. */
export interface BodyWriter {
  /** Where the next byte belongs. */
  readonly position: number
  /** Takes a chunk. A promise asks the caller to wait before it brings the next one, and rejects when the store failed. */
  take(chunk: Buffer): Promise<void> | null
  /**
   * Stores and records the bytes taken, those that do not fill a part as a tail object; also when it throws, what the store has is
   * recorded. Nothing may be saved after it: the same statement gives the lease back.
   */
  flush(): Promise<void>
  /**
   * The same for the last bytes of the file. Returns the object when the whole file was written at once, which the caller records; `null`
   * when every part is recorded and the multipart upload is to be completed.
   */
  close(): Promise<ObjectInfo | null>
  /** Drops the bytes that are not recorded, and the objects that hold them. */
  discard(): Promise<void>
}
