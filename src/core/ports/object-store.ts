import type { ServedType } from '../media/served-type.ts'
import type { MultipartId, StoredPart } from '../upload.ts'

/**
 * Bytes on their way to a store. `chunks()` may be called again when a write is tried again. Once a write has succeeded,
 * the store must not read the chunks any more: their memory may have been given back.
 */
export interface Bytes {
  size: number
  chunks(): Iterable<Buffer> | AsyncIterable<Buffer>
}

/** A whole object, as the store reports it. */
export interface ObjectInfo {
  size: number
  etag: string
}

/** An object that was just written. */
export interface WrittenObject extends ObjectInfo {
  /** Of the bytes that were given to the store, unsigned; `null`: it was not computed. */
  crc32: number | null
}

/** What the store keeps with an object and serves it with. */
export interface ObjectMetadata extends ServedType {
  /** One word of ASCII, at most 1,900 bytes, that the store keeps with the object and returns; see core/pairing/origin. */
  origin?: string
}

/** No store takes more parts of one upload, so this bounds the list of parts that a client may send. */
export const maxPartsOfAnyStore = 100_000

/** Sizes are bytes. */
export interface StoreLimits {
  minPartSize: number
  maxPartSize: number
  /** `maxPartsOfAnyStore` at most. */
  maxParts: number
  maxObjectSize: number
  /** Parts of one upload that should be on their way at once; not given: as many as the engine allows. */
  partsInFlight?: number
}

/**
 * Where bytes live. Keys are relative to the prefix that the store was opened with. Every call either has done durably what it says when it
 * returns, or throws: `UploadError STORE_UNAVAILABLE` when trying later may help, `NoSuchUpload` when the store does not know the
 * multipart upload. A store retries by itself, a bounded number of times.
 */
export interface ObjectStore {
  readonly name: string
  readonly limits: StoreLimits
  /**
   * Creates what a new store needs. Called only once its database is known to have no other store.
   * @throws an error for the operator, with the fix, when a retry would not help
   */
  prepare?(): Promise<void>
  /** Resolves when the store answers and may be written to; rejects with a sentence that says what is wrong. Creates nothing. */
  check(): Promise<void>
  /**
   * Identifies the volume on which the store's folder is now: another one when its volume is not mounted. `null`: there is no folder. Not
   * given where only an object can tell.
   */
  volumeId?(): Promise<string | null>
  /** From now on bytes are acknowledged only when they were written to this volume. */
  pinVolume?(volumeId: string): void
  /** Creates a multipart upload. `onAmbiguousCreate` is called when a retry may have created a second one, whose id is unknown. */
  createMultipart(
    key: string,
    metadata: ObjectMetadata & { partSize: number; onAmbiguousCreate?(): void },
  ): Promise<MultipartId>
  /** A part with the same number is replaced. Every part but the last has `partSize` bytes, as R2 demands. */
  uploadPart(key: string, multipartId: MultipartId, number: number, bytes: Bytes): Promise<StoredPart>
  /** A part made of bytes that the store has already; `end` is exclusive. */
  copyPart(
    key: string,
    multipartId: MultipartId,
    number: number,
    source: { key: string; start: number; end: number },
  ): Promise<StoredPart>
  /** Makes the object of `parts`. Called again after success it returns the same object. */
  completeMultipart(key: string, multipartId: MultipartId, parts: StoredPart[]): Promise<ObjectInfo>
  /** Idempotent. Without an id: all multipart uploads that exist for exactly this key. */
  abortMultipart(key: string, multipartId: MultipartId | null): Promise<void>
  /**
   * Writes a whole object at once. It replaces the object at the key, unless `isNew`: then other bytes at the key are
   * `ObjectExists` (where the store can tell), so that a writer that has lost its lease cannot overwrite a completed file.
   */
  put(key: string, bytes: Bytes, metadata: ObjectMetadata & { isNew?: boolean }): Promise<WrittenObject>
  /** `null` when the object does not exist. */
  stat(key: string): Promise<ObjectInfo | null>
  /** The `origin` that the object was written with; `null` when it has none, or does not exist. */
  originOf(key: string): Promise<string | null>
  /** `end` is exclusive. @throws NoSuchKey when the object does not exist */
  read(key: string, range?: { start: number; end: number }): AsyncIterable<Buffer>
  /** A URL of the store at which a client may GET the object for a short time. Not given where the store has no URLs. */
  presignRead?(key: string, served: PresignedRead): Promise<string>
  /** Idempotent. */
  remove(keys: string[]): Promise<void>
  /** Keys that start with `prefix`. */
  list(prefix: string): AsyncIterable<string>
  /** The address at which browsers read a completed object, if the operator configured one. */
  publicUrl?(key: string): string | null
  /** What an operator should know of this store, each a sentence with its remedy. Called once, after the start. */
  notices?(): Promise<string[]>
  close(): Promise<void>
}

/** How long a presigned URL is valid, and the headers with which the store answers it. */
export interface PresignedRead {
  seconds: number
  contentType: string
  contentDisposition: string
  cacheControl: string
}

/** The store does not know the multipart upload, and the object that it was to become does not exist. */
export class NoSuchUpload extends Error {
  override name = 'NoSuchUpload'
}

/** The key has an object already, with other bytes. */
export class ObjectExists extends Error {
  override name = 'ObjectExists'
}

/** The object does not exist. */
export class NoSuchKey extends Error {
  override name = 'NoSuchKey'
}
