import type { UploadError } from '../errors/error.ts'
import type { UnmeasuredUpload, UploadRecord } from '../upload.ts'

/** The exclusive right to one upload, on all nodes. */
export interface Lock {
  /** Every save names it: a row that has another token was locked by another holder since, and is not changed. */
  readonly token: string
  /**
   * Aborts when another request asks for the upload (reason `'asked'`) or when the lock was lost (`'lost'`): the holder then saves what it
   * has and returns.
   */
  readonly signal: AbortSignal
  /**
   * Resolves while the lock is surely held and renews it when it may have expired: a process that was paused and wakes up must write
   * nothing.
   * @throws UploadError UPLOAD_LOCKED when it is held no longer
   */
  confirm(): Promise<void>
  /** A save has released the lock in its own statement: it is not released a second time. */
  markReleased(): void
  /** A save was refused because of its token. Returns the error for the request. */
  markLost(): UploadError
}

/** An upload as it was read when its lock was acquired. */
export interface LockedUpload {
  upload: UploadRecord
  /** Counts the saves of lock holders; every save names the one that it follows. */
  revision: number
}

/** What the statement that inserts the row of an upload writes into it, so that its lock is held from the start. */
export interface InitialLock {
  token: string
  /** The name of the node that holds it. */
  holder: string
  /** Milliseconds until it expires, unless renewed. */
  ms: number
}

/** Gives locks, to one holder at a time on all nodes. */
export interface Locker {
  /**
   * Runs `work` with the lock of upload `id` and releases it however `work` ends. A holder is asked to stop, and waited for.
   * `check` is called with the row before the holder is asked, and again with the row that was read with the lock.
   * @throws what `check` throws; UploadError UPLOAD_NOT_FOUND, UPLOAD_LOCKED when the holder did not release the lock in time
   */
  withLock<T>(
    id: string,
    check: (upload: UnmeasuredUpload) => void,
    work: (lock: Lock, locked: LockedUpload) => Promise<T>,
  ): Promise<T>
  /**
   * The same for upload `id`, whose row does not exist yet: `insert` writes it together with the lock, in one statement, so no other
   * request can get the lock before. It returns the row as it was written.
   * @throws what `insert` throws: then there is no lock, and `work` does not run
   */
  withNewLock<T>(
    id: string,
    insert: (lock: InitialLock) => Promise<UploadRecord>,
    work: (lock: Lock, locked: LockedUpload) => Promise<T>,
  ): Promise<T>
  /**
   * Asks the holder to save and to release the lock, and waits for it; returns the row as it is then. `check` as above. Requests of this
   * server that wait for the lock are asked to stop as well: they get it with a signal that has aborted, and take no more bytes.
   */
  readReleased(id: string, check: (upload: UnmeasuredUpload) => void): Promise<UploadRecord>
  /** The same for those who do not need the offset. */
  waitForRelease(id: string, check: (upload: UnmeasuredUpload) => void): Promise<UnmeasuredUpload>
  /** Locks that this process holds. */
  held(): number
  /** Resolves when every lock that this process holds is released. */
  close(): Promise<void>
}
