import type { Action } from './access/actions.ts'
import type { UploadQuery } from './ports/uploads.ts'
import type { Limits } from './read/limits.ts'
import type {
  AppendRequest,
  CreatedUpload,
  ListedPart,
  PartList,
  PartUpload,
  UploadedPart,
} from './receive/requests.ts'
import type { StoredFile } from './stored-file.ts'
import type { CancelOptions } from './transitions/cancel.ts'
import type { Actor, CreateUpload, SentUpload, Upload } from './upload.ts'

export type { Limits } from './read/limits.ts'
export type {
  AppendRequest,
  CreatedUpload,
  Digest,
  ListedPart,
  PartList,
  PartUpload,
  UploadedPart,
} from './receive/requests.ts'

/**
 * The verbs of an upload. Every verb first checks who asks, by the table of `access/actions.ts`: for other users an upload is
 * UPLOAD_NOT_FOUND, and a key without the scope is FORBIDDEN. An admin may read, cancel, finish and expire every upload of the tenant.
 */
export interface Engine {
  limits(actor: Actor): Limits
  /** @throws UploadError from the rules: ROLE_NOT_ALLOWED, FILE_TOO_LARGE, TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED, INVALID_METADATA */
  create(actor: Actor, creation: CreateUpload): Promise<Upload>
  /**
   * Creates an upload and appends the body that comes with the request. The lease of the upload is held from its creation on, so no other
   * request is told an offset that this body then changes. `receive` is called once, when the upload exists; what it throws ends the request, and the upload stays.
   * A whole body that an earlier, equal creation brought as well is the upload of that one, which is returned instead of a second file.
   * `sender`: who sends the body, where that is not the owner.
   * @throws UploadError as `create` and `append`
   */
  createWithBody(
    owner: Actor,
    creation: CreateUpload & Partial<SentUpload>,
    receive: (created: CreatedUpload) => AppendRequest | Promise<AppendRequest>,
    sender?: Actor,
  ): Promise<Upload>
  /**
   * Says that the client may not have received the answer to a creation or a cancellation. If its owner sends an equal creation within the hour and its body
   * has the same bytes, it is this upload, if that has completed; if it has not, and the quota has no room because of it, it is replaced.
   * Of a cancelled upload it says that the client may not know of its end: `cancel` succeeds once more.
   * `offset`: the offset that the lost answer named; the mark counts only if the upload still stands there, because a client that has
   * sent more knows the upload. `null`: there was no answer.
   */
  markAnswerLost(id: string, offset: number | null): void
  /**
   * Appends the body until it ends, breaks, or fills the length. The bytes that arrived are durable and recorded when this returns
   * or throws, except under a digest. The upload returned is `completed` only when the object is there.
   * @throws UploadError OFFSET_MISMATCH (facts.offset), UPLOAD_COMPLETED, UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST, FILE_TOO_LARGE,
   * LENGTH_MISMATCH, CHECKSUM_MISMATCH, UPLOAD_LOCKED, STORE_UNAVAILABLE, DATABASE_ERROR, BODY_TIMEOUT
   */
  append(actor: Actor, id: string, request: AppendRequest): Promise<Upload>
  /** Stores one part by its number; a part that is sent again replaces the stored one. @throws UploadError as `append` */
  uploadPart(actor: Actor, id: string, request: PartUpload): Promise<UploadedPart>
  /** The upload as it is recorded. The lock holder is not asked to stop. */
  get(actor: Actor, id: string): Promise<Upload>
  /** The stored parts. */
  listParts(actor: Actor, id: string): Promise<PartList>
  /**
   * The offset at which the client may continue: the lock holder is asked to save first; an upload in `finishing` is finished. An
   * unfinished upload of full length is finished too when `ending` is `at-size` (tus knows no other end). For an admin who asks about
   * another user's upload, no lock holder is asked and nothing is finished.
   * @throws UploadError UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST for ends that are not completion; STORE_UNAVAILABLE while finishing fails
   */
  status(actor: Actor, id: string, ending?: 'at-size' | 'later'): Promise<Upload>
  /**
   * Completes an upload whose bytes are all stored (REST), also one whose parts arrived out of order. `listed`: the client's own list of
   * parts, which is compared. A completed upload is returned as it is.
   * @throws UploadError LENGTH_MISMATCH (something is missing), INVALID_FIELD (the list differs)
   */
  complete(actor: Actor, id: string, listed?: ListedPart[]): Promise<Upload>
  /**
   * Ends the upload and frees its storage; the object of a completed one is deleted when DELETE_GRACE is over. A resume token never
   * deletes a completed upload.
   * @throws UploadError UPLOAD_GONE the second time; UPLOAD_COMPLETED when a completed one is spared
   */
  cancel(actor: Actor, id: string, options?: CancelOptions): Promise<void>
  /**
   * Finishes an upload of which every byte is recorded, as the server would do in time; a completed one stays as it is. For admins.
   * @throws UploadError LENGTH_MISMATCH when something is missing, and as `status`
   */
  completeAsAdmin(actor: Actor, id: string): Promise<void>
  /**
   * Ends an unfinished upload as if its time were over, and frees its storage. For admins.
   * @throws UploadError UPLOAD_COMPLETED; STORE_UNAVAILABLE while it is being finished; UPLOAD_GONE, UPLOAD_EXPIRED, UPLOAD_LOST
   */
  expireAsAdmin(actor: Actor, id: string): Promise<void>
  /** How many parts the upload has or may have; checks `action` as that verb would. */
  countParts(actor: Actor, id: string, action: Action): Promise<number>
  /** The largest part count of the actor's unfinished uploads. */
  largestPartCount(actor: Actor): Promise<number>
  /** The actor's own uploads, newest first. */
  list(actor: Actor, query: UploadQuery): Promise<Upload[]>
  /**
   * The file of a completed upload, for an actor who may have its bytes. Takes no lock.
   * @throws UploadError UPLOAD_NOT_FOUND, FILE_INCOMPLETE, UPLOAD_GONE, FILE_HELD, FILE_QUARANTINED
   */
  file(actor: Actor, id: string, action: 'download' | 'link'): Promise<StoredFile>
  /** The file of a link whose signature was verified. @throws UploadError LINK_EXPIRED when it was revoked; and as `file` */
  linkedFile(id: string, linkEpoch: number): Promise<StoredFile>
  /** Revokes every link to the file that was made before, on all servers at once. */
  revokeLinks(actor: Actor, id: string): Promise<void>
  /**
   * Records what the client knows the file by, so that its owner finds the upload on another device. `null`: nothing.
   * @throws UploadError INVALID_METADATA
   */
  setFingerprint(actor: Actor, id: string, fingerprint: string | null): Promise<void>
}

/** The engine as its own process holds it. */
export interface RunningEngine extends Engine {
  /** Ends every body that is being read, which saves what arrived, and refuses new ones: the server stops. */
  drain(): void
  /** Resolves when no work runs in the background. */
  drained(): Promise<void>
  /** Finishes one upload that was left in `finishing`; for the background job. */
  finish(id: string): Promise<void>
  /** Ends one upload whose time is over and frees its storage; for the sweeper. False when it went on meanwhile. */
  expire(id: string): Promise<boolean>
  /** Frees what an ended upload left in the store; for the sweeper. */
  cleanUp(id: string): Promise<void>
  /** Removes the object of a deleted upload, if it is due. False when it is not, or not any more. */
  deleteObject(id: string): Promise<boolean>
  /**
   * Looks for the object of a completed upload. `missing`: the store says that it is not there, which is recorded as a first observation;
   * `ended`: the store said so again after the pause, and the upload has failed as `lost`, on behalf of `by`, an operator.
   */
  observeFile(id: string, by: Actor): Promise<'there' | 'missing' | 'ended'>
  /**
   * Makes a completed upload that was deleted, or whose object was lost, complete again if its object is there. `by` is an operator.
   * @throws UploadError UPLOAD_NOT_FOUND; UPLOAD_GONE when it was neither, or the object is gone
   */
  restore(id: string, by: Actor): Promise<void>
}
