/*
 * The lease of an upload: its lock, and the row that the lock protects. Everything that a lock holder writes goes through it.
 */
import { OrphanLedger } from './orphan-ledger.ts'
import type { InitialLock, Lock, LockedUpload, Locker } from './ports/locks.ts'
import type { UploadPatch, UploadRepository } from './ports/uploads.ts'
import { hasEnded, type UnmeasuredUpload, type UploadRecord } from './upload.ts'

/**
 * The right to write to one upload. `upload` is the row as it was read when the lock was acquired, and follows every `save`.
 * `signal` aborts when another request asks for the upload (reason `'asked'`) or when the lock was lost (`'lost'`): the holder then
 * saves the bytes it has and returns.
 */
export interface Lease extends Pick<Lock, 'signal' | 'confirm'> {
  readonly upload: UploadRecord
  /** Whether a save has released the lock. */
  readonly isReleased: boolean
  /** What the store may have and the row does not name. If there is anything when the lease is released or lost, the row needs clean-up. */
  readonly ledger: OrphanLedger
  /**
   * One statement, which writes only while the lock is held.
   * @throws UploadError UPLOAD_LOCKED when it is held no longer
   */
  save(patch: UploadPatch): Promise<void>
  /** Reads the upload again, with the parts that were recorded since. False while a part of it is being written. */
  readUnlocked(): Promise<boolean>
}

/** Gives leases, to one holder at a time on all nodes. */
export interface Leases extends Pick<Locker, 'readReleased' | 'waitForRelease'> {
  /** Runs `work` with the lease of upload `id`: as `Locker.withLock`. */
  withLease<T>(id: string, check: (upload: UnmeasuredUpload) => void, work: (lease: Lease) => Promise<T>): Promise<T>
  /** The same with the lease of an upload whose row `insert` makes, together with its lock: as `Locker.withNewLock`. */
  withNewLease<T>(
    id: string,
    insert: (lock: InitialLock) => Promise<UploadRecord>,
    work: (lease: Lease) => Promise<T>,
  ): Promise<T>
}

/** What leases write to, and where errors go that no request waits for. */
export interface LeaseParts {
  uploads: Pick<UploadRepository, 'save' | 'findUnlocked' | 'markNeedsCleanup' | 'shrinkReservation'>
  onError(error: unknown, facts: { uploadId: string }): void
}

/** The leases of uploads under the locks of `locker`. */
export function createLeases(locker: Locker, parts: LeaseParts): Leases {
  const under =
    <T>(work: (lease: Lease) => Promise<T>) =>
    async (lock: Lock, locked: LockedUpload): Promise<T> => {
      const lease = new HeldLease(lock, locked, parts)
      try {
        return await work(lease)
      } finally {
        await lease.end()
      }
    }
  return {
    withLease: (id, check, work) => locker.withLock(id, check, under(work)),
    withNewLease: (id, insert, work) => locker.withNewLock(id, insert, under(work)),
    readReleased: locker.readReleased,
    waitForRelease: locker.waitForRelease,
  }
}

class HeldLease implements Lease {
  readonly upload: UploadRecord
  readonly ledger: OrphanLedger
  #revision: number
  #isReleased = false
  #lastSave: Promise<unknown> = Promise.resolve()
  readonly #lock: Lock
  readonly #parts: LeaseParts

  constructor(lock: Lock, { upload, revision }: LockedUpload, parts: LeaseParts) {
    this.upload = upload
    this.ledger = new OrphanLedger(upload)
    this.#revision = revision
    this.#lock = lock
    this.#parts = parts
  }

  get signal(): AbortSignal {
    return this.#lock.signal
  }

  get isReleased(): boolean {
    return this.#isReleased
  }

  confirm(): Promise<void> {
    return this.#lock.confirm()
  }

  async readUnlocked(): Promise<boolean> {
    const found = await this.#parts.uploads.findUnlocked(this.upload.id)
    if (found) Object.assign(this.upload, found)
    return found !== null
  }

  // Saves run one after another: of two with the same revision the second would fail as if another holder had written.
  save(patch: UploadPatch): Promise<void> {
    const saving = this.#lastSave.then(() => this.ledger.saving(patch, () => this.#saveNow(patch)))
    this.#lastSave = saving.catch(() => {})
    return saving
  }

  async #saveNow(patch: UploadPatch): Promise<void> {
    const { upload } = this
    const { uploads } = this.#parts
    const change: UploadPatch =
      patch.release && this.ledger.hasEntriesAfter(patch) ? { ...patch, needsCleanup: true } : patch
    const isSaved = await uploads.save(upload, { token: this.#lock.token, revision: this.#revision }, change)
    if (!isSaved) throw this.#lock.markLost()
    this.#revision += 1
    if (change.release) this.#markReleased()
    const wasUnknown = upload.size === null
    applyPatch(upload, change)
    // A statement of its own, because it is rare. If it fails, the reservation is corrected when the upload ends.
    if (wasUnknown && upload.size !== null && !hasEnded(upload))
      await uploads.shrinkReservation(upload.id).catch(this.#report)
  }

  /** Records what the ledger still has, also when another holder has taken over, and releases the lock in the same statement. */
  async end(): Promise<void> {
    if (this.ledger.isEmpty || this.#isReleased) return
    this.#markReleased()
    // If it fails, the lease expires, and the next holder records it.
    await this.#parts.uploads.markNeedsCleanup(this.upload.id, this.#lock.token).catch(this.#report)
  }

  #markReleased(): void {
    this.#isReleased = true
    this.#lock.markReleased()
  }

  readonly #report = (error: unknown) => this.#parts.onError(error, { uploadId: this.upload.id })
}

/** Updates `upload` to what was saved. */
function applyPatch(upload: UploadRecord, patch: UploadPatch): void {
  const { parts, forget, event, release, by, steps, ...fields } = patch
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) Object.assign(upload, { [name]: value })
}
