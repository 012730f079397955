import type { WrittenObject } from '../ports/object-store.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import type { StoredPart } from '../upload.ts'

/** The last bytes of a file in the store. */
export type ClosedBody =
  /** The whole file was written at once, which the caller records. */
  | { object: WrittenObject }
  /**
   * Every part is recorded, and the multipart upload is to be completed. `parts`: all parts of the file, when all came with this body; `null`
   * when the row has others.
   */
  | { object: null; parts: StoredPart[] | null }

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
   * The same for the last bytes of the file. When they are parts, the statement that records the last of them saves what `ending` returns
   * as well; it is called when the bytes are in the store.
   */
  close(ending?: () => UploadPatch): Promise<ClosedBody>
  /** Drops the bytes that are not recorded, and the objects that hold them. */
  discard(): Promise<void>
}
