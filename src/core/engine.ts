import type { Readable } from 'node:stream'
import type { Action } from './access/access.ts'
import type { UploadError } from './errors/error.ts'
import type { UploadQuery } from './ports.ts'
import type { Actor, CreateUpload, Upload } from './upload.ts'

/** Sees every byte of a body as it comes, and says at its end whether the body is what it was said to be. */
export interface Digest {
  update(chunk: Buffer): void
  /** Called once after a clean end. @throws UploadError CHECKSUM_MISMATCH, INVALID_REQUEST */
  verify(): void
  /** Of a body that broke off nothing can be verified. True: what came of it counts (RUFH); otherwise it does not (tus). */
  acceptsPartialBody?: boolean
}

/** The bytes of one request. */
export interface AppendRequest {
  /** Must equal the upload's offset. */
  offset: number
  /** Node's raw request, or any Readable. Its end is clean when `end` came; anything else keeps what arrived. */
  body: Readable
  /** What Content-Length says; `null` for chunked bodies. */
  bodySize: number | null
  /** The file's length, told late or told again; it must agree with what is known. */
  size?: number | undefined
  /**
   * When the file is whole. `at-size`: when offset reaches the length (tus). `with-body`: this body, ended cleanly, is
   * the last (RUFH `Upload-Complete: ?1`). `later`: not by this body, even at full length (RUFH `?0`).
   */
  ending: 'at-size' | 'with-body' | 'later'
  /** Nothing of the body counts before this has agreed. */
  digest?: Digest | undefined
  /** What the creation that brings this body said of earlier ones. */
  repeats?: Repeat | undefined
  /** Told now and then how far the recorded offset has come (RUFH 104 progress). */
  onProgress?: ((offset: number) => void) | undefined
}

/** Uploads that earlier requests with the same words have made whole, or are about to, and of which their client may not have heard. */
export interface Repeat {
  ids: string[]
  /** Why there can be no other; `null`: a new one was begun beside it. */
  refusal: UploadError | null
}

/** A new upload. Where there is room for none but the repetition of another, there is no record of it. */
export interface Begun extends Upload {
  /** To be given to the append of the body that came along: the same bytes are the same file. */
  repeats?: Repeat
}

/** One numbered chunk, in any order, beside others. */
export interface PartUpload {
  /** From 1; the chunk covers bytes `(number − 1) × partSize` and on. */
  number: number
  body: Readable
  bodySize: number | null
  digest?: Digest | undefined
}

/** The receipt of one numbered chunk. */
export interface UploadedPart {
  upload: Upload
  etag: string
  size: number
}

/** The chunks of an upload that the server has. */
export interface PartList {
  upload: Upload
  parts: { number: number; size: number; etag: string }[]
}

/** What a role may send, for answers that announce limits. */
export interface Limits {
  maxSize: number
  minPartSize: number
  /** `null`: for ever. */
  timeToLiveMs: number | null
}

/**
 * The verbs of an upload. Every one asks `access.ts` first: another user's upload is UPLOAD_NOT_FOUND, FORBIDDEN is what a key
 * was not made for. An admin may look at every upload, cancel, finish and expire it, and nothing else.
 */
export interface Engine {
  limits(actor: Actor): Limits
  /** @throws UploadError from the rules: ROLE_NOT_ALLOWED, FILE_TOO_LARGE, TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED, INVALID_METADATA */
  create(actor: Actor, creation: CreateUpload): Promise<Begun>
  /**
   * Says that the client may not have heard of the upload that it began. Should its owner ask for the same once more within the hour,
   * and bring the same bytes, it is that upload if it has become whole; if it has not, and there is no room because of it, it gives way. `offset`: where it stood when it was answered; it counts only if it stands there still, because
   * who has sent more knows it. `null`: it was not answered.
   */
  markAnswerLost(id: string, offset: number | null): void
  /**
   * Appends the body until it ends, breaks, or fills the length. A whole body that one of `chunk.repeats` was made of is that upload,
   * which is returned instead, and no second file. What arrived is durable and recorded when this returns
   * or throws, except under a digest. The upload returned is `completed` only when the object is there.
   * @throws UploadError OFFSET_MISMATCH (facts.offset), UPLOAD_COMPLETED, UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST, FILE_TOO_LARGE,
   * LENGTH_MISMATCH, CHECKSUM_MISMATCH, UPLOAD_LOCKED, STORE_UNAVAILABLE, DATABASE_ERROR, BODY_TIMEOUT
   */
  append(actor: Actor, id: string, chunk: AppendRequest): Promise<Upload>
  /** Writes one numbered chunk; sent twice it replaces the first. @throws UploadError as `append` */
  uploadPart(actor: Actor, id: string, chunk: PartUpload): Promise<UploadedPart>
  /** What is there, without asking anybody to stop. */
  get(actor: Actor, id: string): Promise<Upload>
  /** Which numbered chunks are there. */
  listParts(actor: Actor, id: string): Promise<PartList>
  /**
   * The truthful state: whoever writes is asked to save first; an upload in `finishing` is finished. An unfinished
   * upload of full length is finished too when `ending` is `at-size` (tus knows no other end). An admin who asks about
   * another's upload disturbs nobody and finishes nothing.
   * @throws UploadError UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST for ends that are not completion; STORE_UNAVAILABLE while finishing fails
   */
  status(actor: Actor, id: string, ending?: 'at-size' | 'later'): Promise<Upload>
  /**
   * The explicit end of an upload whose bytes are all there (REST), also of one whose chunks came out of order.
   * `expected`: the client's own list of chunks, checked. Of a completed upload: the upload, once more.
   * @throws UploadError LENGTH_MISMATCH (something is missing), INVALID_FIELD (list differs)
   */
  complete(actor: Actor, id: string, expected?: { number: number; etag: string }[]): Promise<Upload>
  /**
   * Ends the upload and frees what it used; the object of a completed one is deleted when its time of grace is over, unless that is
   * spared, as it always is from a resume token. `endsAppend`: a creation or an append ends what it brought itself, and needs no other right than its own.
   * @throws UploadError UPLOAD_GONE the second time; UPLOAD_COMPLETED when a completed one is spared
   */
  cancel(actor: Actor, id: string, how?: { sparesCompleted?: boolean; endsAppend?: boolean }): Promise<void>
  /**
   * Finishes an upload of which every byte is recorded, as the server would do in time; a completed one stays as it is. For admins.
   * @throws UploadError LENGTH_MISMATCH when something is missing, and as `describe`
   */
  completeAsAdmin(actor: Actor, id: string): Promise<void>
  /**
   * Ends an unfinished upload as if its time had run out, and frees what it used. For admins.
   * @throws UploadError UPLOAD_COMPLETED; STORE_UNAVAILABLE while it is being finished; UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST
   */
  expireAsAdmin(actor: Actor, id: string): Promise<void>
  /**
   * How many parts the upload has or may have, for those who bound what may be said of it before they read it. Asks for `verb` as
   * the verb itself would.
   */
  countParts(actor: Actor, id: string, action: Action): Promise<number>
  /** The same for whichever of the actor's unfinished uploads has most of them. */
  largestPartCount(actor: Actor): Promise<number>
  /** The actor's own uploads, newest first. */
  list(actor: Actor, page: UploadQuery): Promise<Upload[]>
  /**
   * Says what the client knows the file by, so that its owner finds the upload on another device. `null`: nothing.
   * @throws UploadError INVALID_METADATA
   */
  setFingerprint(actor: Actor, id: string, fingerprint: string | null): Promise<void>
}

/** The engine as its own process holds it. */
export interface RunningEngine extends Engine {
  /** Makes every body that is being read stop and save, and refuses new uploads. */
  drain(): void
  /** Resolves when nothing runs in the background. */
  drained(): Promise<void>
  /** Finishes one upload that was left in `finishing`; for the background finisher. */
  finish(id: string): Promise<void>
  /** Ends one upload whose time has run out and frees what it used. False when it went on meanwhile. */
  expire(id: string): Promise<boolean>
  /** Frees what an ended upload left; for the sweeper. */
  cleanUp(id: string): Promise<void>
  /** Removes the object of an upload that was deleted, if it is due. False when it is not, or not any more. */
  deleteObject(id: string): Promise<boolean>
  /**
   * Looks for the object of a completed upload. `missing`: the store says that it is not there, which is written down and not believed
   * yet; `ended`: the store said so again after the pause, and the upload has failed as `lost`, on behalf of `by`, an operator.
   */
  observeFile(id: string, by: Actor): Promise<'there' | 'missing' | 'ended'>
  /**
   * Makes a completed upload that was deleted, or whose object was lost, complete again if its object is there. `by` is an operator.
   * @throws UploadError UPLOAD_NOT_FOUND; UPLOAD_GONE when it was neither, or the object is gone
   */
  restore(id: string, by: Actor): Promise<void>
}
