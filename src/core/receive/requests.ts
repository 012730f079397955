import type { Readable } from 'node:stream'
import type { UploadError } from '../errors/error.ts'
import type { StoredPart, Upload } from '../upload.ts'

/** Sees every byte of a body as it arrives, and checks at its end that the body has the checksum that the client announced. */
export interface Digest {
  update(chunk: Buffer): void
  /** Called once after a complete body. @throws UploadError CHECKSUM_MISMATCH, INVALID_REQUEST */
  verify(): void
  /** An aborted body cannot be verified. True: the bytes that arrived are kept (RUFH); otherwise they are discarded (tus). */
  acceptsPartialBody?: boolean
}

/** The bytes of one request, appended at the end of an upload. */
export interface AppendRequest {
  /** Must equal the upload's offset. */
  offset: number
  /** Node's raw request, or any Readable. The body is complete when `end` was emitted; otherwise the bytes that arrived are kept. */
  body: Readable
  /** Content-Length; `null` for chunked bodies. */
  bodySize: number | null
  /** The length of the file, announced late or repeated; it must agree with the known one. */
  size?: number | undefined
  /**
   * When the file is whole. `at-size`: when offset reaches the length (tus). `with-body`: this body, if complete, is the last
   * (RUFH `Upload-Complete: ?1`). `later`: not by this body, even at full length (RUFH `?0`).
   */
  ending: 'at-size' | 'with-body' | 'later'
  /** No byte of the body is recorded before this has verified it. */
  digest?: Digest | undefined
  /** Called from time to time with the recorded offset (RUFH 104 progress). */
  onProgress?: ((offset: number) => void) | undefined
}

/** Uploads that earlier, equal creations made whole or are about to, and whose answers their client may not have received. */
export interface Repeat {
  ids: string[]
  /** Why no other upload could be created; `null`: a new one was created beside them. */
  creationError: UploadError | null
}

/** A new upload whose body follows. */
export type CreatedUpload = Upload & {
  /**
   * The same body may have made an earlier upload, which is then the answer; where the quota has no room for another one, no row exists
   * for this one.
   */
  mayRepeat: boolean
}

/** One part, addressed by its number; parts of one upload may arrive in any order and in parallel. */
export interface PartUpload {
  /** From 1; the part covers the bytes from `(number − 1) × partSize`. */
  number: number
  body: Readable
  bodySize: number | null
  digest?: Digest | undefined
}

/** What a client is told of a stored part. */
export interface UploadedPart {
  etag: string
  size: number
}

/** The parts of an upload that the server has. */
export interface PartList {
  upload: Upload
  parts: StoredPart[]
}

/** A part as the client lists it when it completes an upload. */
export interface ListedPart {
  number: number
  etag: string
}
