import type { InitialLock, LockedUpload } from '../core/ports/locks.ts'
import type { UnmeasuredUpload, UploadRecord } from '../core/upload.ts'

/** A lease: the upload, and the token of its holder. */
export interface HeldLease {
  id: string
  token: string
}

export interface FoundLease<U> {
  upload: U
  token: string | null
  isHeld: boolean
}

/** Between nodes: `ask` for the lease of an upload, or announce that it is `free`. Messages may be lost: those who wait look again. */
export interface LeaseMessage {
  verb: 'ask' | 'free'
  id: string
}

/**
 * What a kind of lock is made of: a table of leases that all nodes share, and messages between them. A lease is a token with an expiry;
 * a lease that has expired is free.
 */
export interface LeaseTable {
  /**
   * Takes the lease if it is free, for `leaseMs`, and reads the upload. `null`: another token has it, or there is no such upload. From then
   * on the row takes no save with an older token. Acquiring with the token that has the lease succeeds again.
   */
  acquire(lease: HeldLease, leaseMs: number): Promise<(LockedUpload & { isTakeover: boolean }) | null>
  /**
   * The same for an upload whose row `insert` makes: the lease is held from the moment at which the row is there. Without a row, because
   * `insert` failed, there is no lease.
   */
  acquireNew<T>(lease: HeldLease, leaseMs: number, insert: (lock: InitialLock) => Promise<T>): Promise<T>
  /** The upload without its offset, and the token of its last lease. `null`: there is no such upload. */
  find(id: string): Promise<FoundLease<UnmeasuredUpload> | null>
  /** The same with the offset. */
  read(id: string): Promise<FoundLease<UploadRecord> | null>
  /** Extends those leases that are still held, and returns the ids of their uploads. */
  renew(leases: HeldLease[], leaseMs: number): Promise<Set<string>>
  /** Frees the lease, unless another token has it. `isReleasedInRow`: a save of its holder has released it in the row. */
  release(lease: HeldLease, isReleasedInRow: boolean): Promise<void>
  send(message: LeaseMessage): Promise<void>
  /** Calls `onMessage` for the messages of all nodes. */
  listen(onMessage: (message: LeaseMessage) => void): Promise<void>
}
