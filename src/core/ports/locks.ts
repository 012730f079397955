import type { OrphanLedger } from '../orphan-ledger.ts'
import type { UploadRecord } from '../upload.ts'
import type { UploadPatch } from './uploads.ts'

/**
 * The right to write to one upload. `upload` is the row as it was read when the lease was taken, and follows every `save`.
 * `signal` aborts when another request asks for the upload (reason `'asked'`) or when the lease was lost (`'lost'`): the holder then
 * saves the bytes it has and returns.
 */
export interface Lease {
  readonly upload: UploadRecord
  readonly signal: AbortSignal
  /** What the store may have and the row does not name. If there is anything when the lease is released or lost, the row needs clean-up. */
  readonly ledger: OrphanLedger
  /**
   * One statement, which writes only while the lease is held.
   * @throws UploadError UPLOAD_LOCKED when it is held no longer
   */
  save(patch: UploadPatch): Promise<void>
  /**
   * Called before every write to the store. Resolves while the lease is surely held and renews it when it may have expired: a process that
   * was paused and wakes up must write nothing.
   * @throws UploadError UPLOAD_LOCKED when it is held no longer
   */
  confirm(): Promise<void>
}

/** Gives leases, to one holder at a time on all nodes. */
export interface Locker {
  /**
   * Runs `work` with the lease of upload `id` and releases it however `work` ends. A holder is asked to stop, and waited for.
   * `check` is called with the row before the holder is asked, and again with the row that was read with the lease.
   * @throws what `check` throws; UploadError UPLOAD_NOT_FOUND, UPLOAD_LOCKED when the holder did not release the lease in time
   */
  withLock<T>(id: string, check: (upload: UploadRecord) => void, work: (lease: Lease) => Promise<T>): Promise<T>
  /**
   * Asks the holder to save and to release the lease, and waits for it; returns the row as it is then. `check` as above. Requests of this
   * server that wait for the lease are asked to stop as well: they get it with a signal that has aborted, and take no more bytes.
   */
  waitForRelease(id: string, check: (upload: UploadRecord) => void): Promise<UploadRecord>
}
