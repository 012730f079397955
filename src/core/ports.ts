import type { Owner } from './access/access.ts'
import type { Event } from './events.ts'
import type { ServedType } from './media/served-type.ts'
import type { Quota } from './policy/quota.ts'
import type { Actor, FileDigests, MultipartId, StoredPart, TailObject, UploadRecord, UploadState } from './upload.ts'

/**
 * Bytes on their way to a store. `chunks()` may be called again when a write is tried again. Once a write has succeeded,
 * nothing of it may read the chunks any more: their memory may be gone.
 */
export interface Bytes {
  size: number
  chunks(): Iterable<Buffer> | AsyncIterable<Buffer>
}

/** What a finished object is, as the store tells it. */
export interface ObjectInfo {
  size: number
  etag: string
}

/** What the store keeps with an object and serves it with. */
export interface ObjectMetadata extends ServedType {
  /** One word of ASCII, at most 1,900 bytes, that the store keeps with the object and returns; see core/pairing/origin. */
  origin?: string
}

/** No store takes more parts of one upload: what a client may list of them has an end too. */
export const maxPartsOfAnyStore = 100_000

export interface StoreLimits {
  minPartSize: number
  maxPartSize: number
  /** `mostParts` at most. */
  maxParts: number
  maxObjectSize: number
  /** Parts of one upload on their way at once; absent: the more the faster. */
  partsInFlight?: number
}

/**
 * Where bytes live. Keys are relative to whatever prefix the store was opened with. Every call either does what it
 * says durably or throws: `UploadError STORE_UNAVAILABLE` when trying later may help, `HandleLost` when the
 * multipart upload is not there any more. A store retries on its own, a bounded number of times.
 */
export interface ObjectStore {
  readonly name: string
  readonly limits: StoreLimits
  /** Makes what a new store stands on. Called once its database is known to have no other, and never for a store that is gone. */
  prepare?(): Promise<void>
  /** Resolves when the store answers and may be written to; rejects with a sentence that says what is wrong. Makes nothing. */
  check(): Promise<void>
  /**
   * Which folder answers at the moment: another one when its volume is not mounted any more. `null` when there is none. Absent where
   * only an object can tell.
   */
  place?(): Promise<string | null>
  /** From now on bytes are acknowledged only when they were written in this place. */
  stayAt?(place: string): void
  /** `onDoubt` is told when another one may have been begun, whose name nobody knows. */
  createMultipart(key: string, metadata: ObjectMetadata & { partSize: number; onDoubt?(): void }): Promise<MultipartId>
  /** The same number again replaces the part. Every part but the last has `partSize` bytes: R2 demands it. */
  uploadPart(key: string, handle: MultipartId, number: number, bytes: Bytes): Promise<StoredPart>
  /** A part made of bytes that the store has already; `end` is exclusive. */
  copyPart(
    key: string,
    handle: MultipartId,
    number: number,
    source: { key: string; start: number; end: number },
  ): Promise<StoredPart>
  /** Makes the object of `parts`. Once more after success: no error, the same facts. */
  completeMultipart(key: string, handle: MultipartId, parts: StoredPart[]): Promise<ObjectInfo>
  /** Idempotent. Without a handle: whatever multipart uploads were ever begun for exactly this key. */
  abortMultipart(key: string, handle: MultipartId | null): Promise<void>
  /**
   * Writes a whole object at once. It replaces what is there, unless `isNew`: then other bytes at that key are
   * `ObjectExists` (where the store can tell), so that a writer who was overtaken cannot spoil a finished file.
   */
  put(key: string, bytes: Bytes, metadata: ObjectMetadata & { isNew?: boolean }): Promise<ObjectInfo>
  /** `null` when there is no such object. */
  stat(key: string): Promise<ObjectInfo | null>
  /** The `origin` that the object was given; `null` when it was given none, or is not there. */
  originOf(key: string): Promise<string | null>
  /** `end` is exclusive. Throws `ObjectMissing` when there is no such object. */
  read(key: string, range?: { start: number; end: number }): AsyncIterable<Buffer>
  /** Idempotent. */
  remove(keys: string[]): Promise<void>
  /** Keys that start with `prefix`. */
  list(prefix: string): AsyncIterable<string>
  /** Where browsers reach a finished object, if the operator said where that is. */
  publicUrl?(key: string): string | null
  /** What an operator should know of this store, a sentence each with what to do about it. Asked once, after the start. */
  notices?(): Promise<string[]>
  close(): Promise<void>
}

/** The store has forgotten the multipart upload, and the object it should have become is not there. */
export class NoSuchUpload extends Error {
  override name = 'NoSuchUpload'
}

/** There is an object already, with other bytes. */
export class ObjectExists extends Error {
  override name = 'ObjectExists'
}

/** There is no such object. */
export class NoSuchKey extends Error {
  override name = 'NoSuchKey'
}

/** What one statement changes in a session. Absent: stays as it is. */
export interface UploadPatch {
  /** What the first bytes said, and the key that goes with it. */
  contentType?: string
  category?: string
  key?: string
  prefix?: Uint8Array | null
  parts?: StoredPart[]
  /** Numbers whose receipts no longer hold, because the part is about to be written anew. */
  forget?: number[]
  tail?: TailObject[]
  offset?: number
  size?: number
  partSize?: number
  multipartId?: MultipartId | null
  state?: UploadState
  failure?: string
  etag?: string
  digests?: FileDigests
  expiresAt?: Date | null
  completedAt?: Date
  hasNumberedParts?: boolean
  /** Something of this upload may lie in the store that no session points to: the sweeper must look. */
  needsCleanup?: boolean
  lossSeenAt?: Date | null
  deleteDueAt?: Date | null
  /** Who ends the upload, for the record, which is written in the same transaction. Not given: the server itself. */
  by?: Actor | null
  /** Told in the same transaction, so that a crash can delay it but not lose it. */
  event?: Event | undefined
  /** Gives the lease back in the same statement. */
  release?: boolean
}

/** Which of somebody's uploads are asked for. */
export interface UploadQuery {
  limit: number
  /** The id of the last one seen. */
  before?: string | undefined
  /** Only those of this file. */
  fingerprint?: string | undefined
  /** Only those in this state; of those that receive, none whose time is over. */
  state?: UploadState | undefined
}

/** The right to write one part of an upload, beside others who write other parts. */
export interface PartLock {
  number: number
  token: string
  /** How long it holds unless renewed. */
  ms: number
  expiresAt: Date | null
  /** Whether a part that is recorded may give way. */
  replaces: boolean
}

/**
 * `mine`; `taken`: somebody else is writing that part; `closed`: the upload is not receiving, or its lease is held; or the
 * receipt that is there, when it may not be replaced.
 */
export type PartLockAnswer = 'mine' | 'taken' | 'closed' | StoredPart

/** What the record tells of who asks, beside the owner. */
export type ActorRef = Pick<Actor, 'client' | 'keyId'>

/** What a creation says, by which it is known when it is asked again. */
export type CreationKey = Owner &
  Pick<UploadRecord, 'role' | 'filename' | 'size' | 'metadata' | 'fingerprint' | 'agent'> & {
    isPartial: boolean
    hasNumberedParts: boolean
  }

/** The sessions in the database. Sizes are bigint there and safe integers here. Throws `UploadError DATABASE_ERROR`. */
export interface UploadRepository {
  /**
   * Makes the session and reserves its owner's room for it, together or not at all: however many come at once, `quota` holds.
   * It is written down for the record, with the key and the place it was asked from. An upload of unknown length is given what room is left, at most `maxSize`, and held to it. Not given: no limits.
   * Resolves with what `findRepeated` would find for it, asked in the same statement.
   * @throws UploadError QUOTA_EXCEEDED, RATE_LIMITED, UPLOAD_LOCKED when another final upload of the same partial ones has just begun
   */
  insert(upload: UploadRecord, event: Event | undefined, quota?: Quota, by?: ActorRef): Promise<string[]>
  find(id: string): Promise<UploadRecord | null>
  /** Those of `ids` that there are, in any order; asked at once. */
  findAll(ids: string[]): Promise<UploadRecord[]>
  /** The newest first. */
  list(owner: Owner, page: UploadQuery): Promise<UploadRecord[]>
  /** Records what the client knows the file by. */
  setFingerprint(id: string, fingerprint: string | null): Promise<void>
  /** The id of the owner's final upload that is made of exactly these partial ones, in this order, and is alive or complete. */
  findFinal(owner: Owner, from: string[]): Promise<string | null>
  /**
   * Records that the answer to the creation may have been lost, unless the upload stands elsewhere than at `offset`, if that is given;
   * a request that takes the lease while the upload is receiving shows that it was not.
   */
  markAnswerLost(id: string, offset: number | null): Promise<void>
  /** The oldest upload of the same owner that was asked for in the same words, whose client may not know it, and that is open and not locked. */
  findLostCreation(asked: CreationKey): Promise<Pick<UploadRecord, 'id' | 'offset'> | null>
  /** Records that a client knows the upload after all. */
  markHeard(id: string): Promise<void>
  /** The ids of some uploads that earlier requests with the same words have made whole or are about to, and of which their client may not have heard. */
  findRepeated(asked: CreationKey): Promise<string[]>
  /** How many parts each of the uploads has without a hole from the first one, and their bytes; none of those that have no first part. */
  leadingParts(ids: string[]): Promise<Map<string, { count: number; bytes: number }>>
  /** Receipts in order of their numbers. */
  parts(id: string): Promise<StoredPart[]>
  /**
   * Claims one number of an upload for writing, only while the upload is receiving and nobody holds its lease; moves the
   * expiry on. Whoever has the claim is alone with that part until the claim runs out, and its receipt is gone.
   */
  acquirePartLock(id: string, lock: PartLock): Promise<PartLockAnswer>
  /** False when the claim is lost. */
  renewPartLock(id: string, lock: PartLock): Promise<boolean>
  /** Records the part and ends the claim. False when the claim is lost or the upload has ended. */
  recordPart(id: string, part: StoredPart, token: string): Promise<boolean>
  /** Counts bytes that came once more for the owner's day, of which there was a part already. What the day has then. */
  countRepeatedBytes(owner: Owner, bytes: number): Promise<number>
  /** Ends a claim without a part. */
  releasePartLock(id: string, lock: PartLock): Promise<void>
  /** How many claims on parts of the upload hold; with `number`, on that part alone. */
  countPartLocks(id: string, number?: number): Promise<number>
  /** Says that something is being stored for an upload outside its lease: dirty, and not given up yet. False when it is not receiving, or somebody holds its lease. */
  markWriting(id: string, expiresAt: Date | null): Promise<boolean>
  /** A mark of what has been said of the upload until now, for `markClean`. */
  cleanupVersion(id: string): Promise<string>
  /**
   * Nothing of the upload is left in the store but what the session says. With the mark of before it was looked at: unless
   * something was said since, because then there may be more.
   */
  markCleanedUp(id: string, lastSaid?: string): Promise<void>
  /** Ids in `finishing` whose lease is free and that were not touched for `idleMs`. */
  findUnfinished(idleMs: number, limit: number): Promise<string[]>
  /** Ids that are receiving, or complete and never used, and whose `expiresAt` is past. */
  findExpired(now: Date, limit: number): Promise<string[]>
  /** Those of `among` that have ended. */
  findEnded(among: string[]): Promise<string[]>
  /** Ids that have ended and may have left something in the store. */
  findNeedingCleanup(limit: number): Promise<string[]>
  /** Says when the object of an upload that has ended otherwise is to be deleted, unless that was said before. */
  scheduleDeletion(id: string, dueAt: Date): Promise<void>
  /** Ids of uploads whose object is to be deleted by now. */
  findDeletionsDue(now: Date, limit: number): Promise<string[]>
}

/**
 * The right to write to one upload. `session` is the row as it was read when the lease was taken, and follows every
 * `save`. `signal` aborts when somebody else asks for the upload (reason `'asked'`) or the lease was lost
 * (`'lost'`): the holder then saves what it has and returns.
 */
export interface Lease {
  readonly upload: UploadRecord
  readonly signal: AbortSignal
  /**
   * One statement, written only if the lease is still ours.
   * @throws UploadError UPLOAD_LOCKED when it is not
   */
  save(change: UploadPatch): Promise<void>
  /**
   * Called before every write to the store: resolves while the lease is surely ours, renewing it when it may have
   * run out (a process that was paused and wakes must write nothing).
   * @throws UploadError UPLOAD_LOCKED when it is not
   */
  confirm(): Promise<void>
  /**
   * Said before something is written to the store that the session does not name yet. Unless a later `save` makes it
   * known and `trust` is called, giving the lease back, or ending without it, marks the session dirty.
   */
  expectOrphan(): void
  clearOrphans(): void
}

export interface Locker {
  /**
   * Runs `work` with the lease of upload `id` and gives it back however `work` ends. A holder is asked to stop, and
   * waited for. `admit` is called with the session before anybody is asked, and refuses by throwing.
   * @throws UploadError UPLOAD_NOT_FOUND, UPLOAD_LOCKED when the holder did not let go in time
   */
  withLock<T>(
    id: string,
    authorizeOwner: (upload: UploadRecord) => void,
    work: (lease: Lease) => Promise<T>,
  ): Promise<T>
  /** Asks whoever holds the lease to save and let go, and waits for it. `admit` as above. Returns the row then. */
  waitForRelease(id: string, authorizeOwner: (upload: UploadRecord) => void): Promise<UploadRecord>
}
