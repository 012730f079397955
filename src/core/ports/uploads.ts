import type { Owner } from '../access/access.ts'
import type { NewStep } from '../content.ts'
import type { Event } from '../events.ts'
import type { Quota } from '../policy/quota.ts'
import type { UploadedFile } from '../stored-file.ts'
import type { Actor, StoredPart, UploadFields, UploadRecord, UploadState } from '../upload.ts'
import type { InitialLock } from './locks.ts'

/** What a creation fixes; no save changes it. */
export const fixedFields = [
  'id',
  'ownerId',
  'tenant',
  'role',
  'agent',
  'createdAt',
  'isPartial',
  'partials',
  'uploadConcat',
] as const

type SavedFields = Omit<UploadFields, (typeof fixedFields)[number] | 'updatedAt' | 'isBeingWritten'>

/** What one statement changes in a row. A field that is not given stays as it is; `null` sets null. */
export interface UploadPatch extends Partial<SavedFields> {
  kind?: 'parted'
  parts?: StoredPart[]
  /** Numbers of parts whose rows are removed, because the parts are about to be overwritten. */
  forget?: number[]
  /** Who ends the upload, for the audit log, which is written in the same transaction. Not given: the server itself. */
  by?: Actor | null
  /** Written to the outbox in the same transaction: a crash may delay its delivery and cannot lose it. */
  event?: Event | undefined
  /** Of a file that is completed: the steps that follow. They, the content and the node are made in the same statement; not given: none. */
  steps?: NewStep[]
  /** Releases the lease in the same statement. */
  release?: boolean
}

/** What a save of a lock holder must find in the row: the token of its lock, and the revision that it last wrote or read. */
export interface Fence {
  token: string
  revision: number
}

/** Which uploads of an owner are listed. */
export interface UploadQuery {
  limit: number
  /** The id of the last upload of the page before. */
  before?: string | undefined
  /** Only uploads of the file with this fingerprint. */
  fingerprint?: string | undefined
  /** Only uploads in this state; of those that are receiving, only those that are not overdue. */
  state?: UploadState | undefined
}

/** The right to write one part of an upload, while other requests write other parts. */
export interface PartLock {
  number: number
  token: string
  /** Milliseconds until it expires, unless renewed. */
  ms: number
  expiresAt: Date | null
  /** Whether a recorded part may be replaced. */
  replaces: boolean
}

/**
 * `mine`; `taken`: another request is writing that part; `closed`: the upload is not receiving, or its lease is held; or the recorded
 * part, when it may not be replaced.
 */
export type PartLockAnswer = 'mine' | 'taken' | 'closed' | StoredPart

/** What the audit log keeps of the actor, beside the owner. */
export type ActorRef = Pick<Actor, 'client' | 'keyId'>

/** What a row says as it was inserted, and what is known with it. */
export interface Inserted {
  /** The largest size that the row allows: of an upload of unknown length at most what the quota had left. */
  maxSize: number
  /** What `findRepeated` would find for the creation, found in the same statement. */
  repeated: string[]
}

/** What a creation says, by which an equal one is recognized. */
export type CreationKey = Owner &
  Pick<UploadRecord, 'kind' | 'isPartial' | 'role' | 'filename' | 'size' | 'metadata' | 'fingerprint' | 'agent'>

/**
 * The uploads in the database. Every upload is read with its true offset, whatever the order in which its parts arrive. Sizes are bigint
 * there and safe integers here. Every call may throw `UploadError DATABASE_ERROR`. */
export interface UploadRepository {
  /**
   * Inserts the row and reserves its owner's quota for it, both or neither: however many creations arrive at once, `quota` holds.
   * An upload of unknown length is given the quota that is left, at most `maxSize`, and held to it. Not given: no limits. The audit log
   * is written in the same transaction, with `by`, and so is `lock`; not given: the upload is not locked.
   * @throws UploadError QUOTA_EXCEEDED, RATE_LIMITED, UPLOAD_LOCKED when another final upload of the same partial ones was just created
   */
  insert(
    upload: UploadRecord,
    event: Event | undefined,
    quota?: Quota,
    by?: ActorRef,
    lock?: InitialLock,
  ): Promise<Inserted>
  /**
   * Saves what a lock holder changes, in one statement: the row, its parts, its event, its owner's usage, the audit entry, and the file: the
   * end of a completed upload trashes its node, a restoration brings it back, and without its `deleteDueAt` the content is gone. All or none.
   * False, and nothing is changed, when the row does not match `fence`: then another holder has the lock. A save whose answer was lost is
   * made once. The next save names the next revision.
   */
  save(upload: UploadRecord, fence: Fence, patch: UploadPatch): Promise<boolean>
  /**
   * Records that the store may have something of the upload that the row does not name, also when another holder has its lock by now, and releases the
   * lock of `token`.
   */
  markNeedsCleanup(id: string, token: string): Promise<void>
  /** Reduces the reservation of an upload to its size, which has become known. */
  shrinkReservation(id: string): Promise<void>
  find(id: string): Promise<UploadRecord | null>
  /** The upload unless a part of it is being written; `null` then, and when there is none. A lock holder may rely on it. */
  findUnlocked(id: string): Promise<UploadRecord | null>
  /** The upload and its recorded parts, by number, at one moment. */
  findWithParts(id: string): Promise<{ upload: UploadRecord; parts: StoredPart[] } | null>
  /** The rows that exist for `ids`, in any order, in one query. */
  findAll(ids: string[]): Promise<UploadRecord[]>
  /** An upload and its file, in one query; `null`: there is no such upload. */
  findFile(id: string): Promise<UploadedFile | null>
  /** Every link to the file that was made before is no longer valid. */
  revokeLinks(id: string): Promise<void>
  /** Newest first. */
  list(owner: Owner, query: UploadQuery): Promise<UploadRecord[]>
  /** Records what the client knows the file by. */
  setFingerprint(id: string, fingerprint: string | null): Promise<void>
  /** The id of the owner's final upload of exactly these partial ones, in this order, that is open or completed. */
  findFinal(owner: Owner, partials: string[]): Promise<string | null>
  /**
   * Records that the answer to the creation, or to the cancellation of a cancelled upload, may have been lost, unless `offset` is given and the upload stands elsewhere.
   * A request that takes the lease while the upload is receiving clears the mark.
   */
  markAnswerLost(id: string, offset: number | null): Promise<void>
  /** The owner's oldest upload of an equal creation whose answer may have been lost, and that is open and not locked. */
  findLostCreation(key: CreationKey): Promise<Pick<UploadRecord, 'id' | 'offset'> | null>
  /** Whether the upload is cancelled, and the answer that said so may have been lost. */
  isCancellationLost(id: string): Promise<boolean>
  /** Records that a client knows the upload after all. */
  clearAnswerLost(id: string): Promise<void>
  /** The ids of some uploads that equal creations made whole or are about to, and whose answers may have been lost. */
  findRepeated(key: CreationKey): Promise<string[]>
  /** The recorded parts, by number. */
  parts(id: string): Promise<StoredPart[]>
  /**
   * Takes the lock of one part, only while the upload is receiving and its lease is free; moves the expiry on. Until it expires its holder
   * is the only writer of that part, and the part is not recorded.
   */
  acquirePartLock(id: string, lock: PartLock): Promise<PartLockAnswer>
  /** False when the lock is lost. */
  renewPartLock(id: string, lock: PartLock): Promise<boolean>
  /** Records the part and releases its lock. False when the lock is lost or the upload has ended. */
  recordPart(id: string, part: StoredPart, token: string): Promise<boolean>
  /** Counts the bytes of a part that was stored already for the owner's day. Returns all bytes of that day. */
  countRepeatedBytes(owner: Owner, bytes: number): Promise<number>
  /** Releases the lock of a part that is not recorded. */
  releasePartLock(id: string, lock: PartLock): Promise<void>
  /** Whether a lock of that part is held. */
  isPartLocked(id: string, number: number): Promise<boolean>
  /**
   * Records that something is being stored for the upload outside its lease, so that it is cleaned up and does not expire meanwhile. False
   * when it is not receiving, or its lease is held.
   */
  markWriting(id: string, expiresAt: Date | null): Promise<boolean>
  /** A version of the row for `markCleanedUp`. */
  cleanupVersion(id: string): Promise<string>
  /**
   * Records that the store has nothing of the upload but what the row names. With the version from before the store was searched: unless
   * the row has changed since, because then there may be more.
   */
  markCleanedUp(id: string, version?: string): Promise<void>
  /** Ids in `finishing` whose lease is free and that did not change for `idleMs`. */
  findUnfinished(idleMs: number, limit: number): Promise<string[]>
  /** Ids that are receiving, or completed partial uploads that were never concatenated, and whose `expiresAt` is past. */
  findExpired(now: Date, limit: number): Promise<string[]>
  /** Those of `among` that have ended. */
  findEnded(among: string[]): Promise<string[]>
  /** Ids that have ended and may have left something in the store. */
  findNeedingCleanup(limit: number): Promise<string[]>
  /** Records when the object of an upload that ended otherwise than by deletion is to be removed, unless that is recorded already. */
  scheduleDeletion(id: string, dueAt: Date): Promise<void>
  /** Ids of uploads whose object is due to be removed. */
  findDeletionsDue(now: Date, limit: number): Promise<string[]>
}
