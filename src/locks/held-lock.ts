/*
 * One lock in this process.
 *
 *   waiting  → held       it was acquired; it stays valid until it expires, unless it is renewed
 *   held     → released   by its holder, or in the statement of the holder's last save
 *
 * Its signal asks the request to stop, in any state: because another request asks for the upload, or because the lock was lost.
 */
import { randomUUID } from 'node:crypto'
import type { UploadError } from '../core/errors/error.ts'
import { errors } from '../core/errors/errors.ts'
import type { Lock } from '../core/ports/locks.ts'

export class HeldLock implements Lock {
  readonly id: string
  readonly token = randomUUID()
  #state: 'waiting' | 'held' | 'released' = 'waiting'
  /** Until then the lock is certainly ours, by the monotonic clock of this process. */
  #validUntil = 0
  #isAsked = false
  readonly #renew: (lock: HeldLock) => Promise<void>
  readonly #stop = new AbortController()
  readonly #ended = Promise.withResolvers<void>()

  /** @param renew renews the lock, and calls `markValid` or `lose` */
  constructor(id: string, renew: (lock: HeldLock) => Promise<void>) {
    this.id = id
    this.#renew = renew
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  get isReleased(): boolean {
    return this.#state === 'released'
  }

  get isWaiting(): boolean {
    return this.#state === 'waiting'
  }

  /** Whether another request waits for the release. */
  get isAsked(): boolean {
    return this.#isAsked
  }

  /** Resolves when the lock has been released and its holder has returned. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  markValid(until: number): void {
    this.#validUntil = until
    if (this.#state === 'waiting') this.#state = 'held'
  }

  /** Asks the holder to save what it has and to release the lock. */
  ask(): void {
    this.#isAsked = true
    this.stop()
  }

  /** Asks a request that waits for the lock to take no bytes once it has it. */
  stop(): void {
    this.#stop.abort('asked')
  }

  lose(): void {
    this.#stop.abort('lost')
  }

  markLost(): UploadError {
    if (!this.signal.aborted) this.lose()
    return errors.takenOver()
  }

  markReleased(): void {
    this.#state = 'released'
  }

  markEnded(): void {
    this.#ended.resolve()
  }

  async confirm(): Promise<void> {
    if (performance.now() < this.#validUntil) return
    await this.#renew(this)
    if (this.signal.aborted && this.signal.reason === 'lost') throw this.markLost()
  }
}
