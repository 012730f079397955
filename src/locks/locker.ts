/*
 * The lock of one upload, for any number of processes.
 *
 * A lock is a lease in a table that all nodes share: a token with an expiry. Every save names the token, so a holder that was taken over
 * writes nothing, however late it wakes. One call renews all leases of a process by a timer. No connection is held while bytes flow.
 *
 * A request that wants the lock asks the holder to release it: by AbortSignal in the same process, by a message in another. The holder
 * saves what it has and releases. The lease of a holder that died expires.
 */
import { errors } from '../core/errors/errors.ts'
import type { InitialLock, Lock, LockedUpload, Locker } from '../core/ports/locks.ts'
import type { UnmeasuredUpload, UploadRecord } from '../core/upload.ts'
import { HeldLock } from './held-lock.ts'
import type { FoundLease, LeaseTable } from './lease-table.ts'
import { Waiting } from './waiting.ts'

export interface LockerOptions {
  /** How long a lease is valid unless renewed, and so how long a dead holder blocks an upload. */
  leaseMs: number
  /** How long `withLock` waits for the holder to release. */
  waitMs: number
  onError(error: unknown): void
  /** Called when an expired lease was acquired, that is, one whose holder never released it. */
  onTakeover?(id: string): void
}

type Check = (upload: UnmeasuredUpload) => void
type Work<T> = (lock: Lock, locked: LockedUpload) => Promise<T>

/** The locker over `table`. */
export async function createLocker(
  table: LeaseTable,
  { leaseMs, waitMs, onError, onTakeover }: LockerOptions,
): Promise<Locker> {
  const held = new Map<string, HeldLock>()
  const waiting = new Waiting()

  await table.listen(({ verb, id }) => {
    if (verb === 'ask') held.get(id)?.ask()
    else waiting.wake(id)
  })

  const timer = setInterval(() => void renew([...held.values()]).catch(onError), leaseMs / 3)
  timer.unref()

  async function renew(locks: HeldLock[]): Promise<void> {
    const live = locks.filter((lock) => !lock.isReleased)
    if (live.length === 0) return
    const validUntil = performance.now() + leaseMs
    const renewed = await table.renew(live, leaseMs)
    for (const lock of live) {
      if (renewed.has(lock.id)) lock.markValid(validUntil)
      else if (!lock.isReleased) lock.lose()
    }
  }

  const newLock = (id: string) => new HeldLock(id, (one) => renew([one]))

  async function withLock<T>(id: string, check: Check, work: Work<T>): Promise<T> {
    const lock = newLock(id)
    const locked = await waiting.during(lock, () => acquire(lock, check))
    return hold(lock, async () => {
      check(locked.upload)
      return work(lock, locked)
    })
  }

  async function withNewLock<T>(
    id: string,
    insert: (lock: InitialLock) => Promise<UploadRecord>,
    work: Work<T>,
  ): Promise<T> {
    const lock = newLock(id)
    const validUntil = performance.now() + leaseMs
    const upload = await table.acquireNew(lock, leaseMs, insert)
    lock.markValid(validUntil)
    return hold(lock, () => work(lock, { upload, revision: 0 }))
  }

  /** Runs `work` with a lock that was acquired, renews it meanwhile, and releases it. */
  async function hold<T>(lock: HeldLock, work: () => Promise<T>): Promise<T> {
    const { id } = lock
    held.set(id, lock)
    try {
      return await work()
    } finally {
      await release(lock)
      if (held.get(id) === lock) held.delete(id)
      lock.markEnded()
    }
  }

  /** Acquires the lease as soon as it is free. @throws UploadError UPLOAD_LOCKED after `waitMs`, UPLOAD_NOT_FOUND */
  async function acquire(lock: HeldLock, check: Check): Promise<LockedUpload> {
    const { id } = lock
    const until = performance.now() + waitMs
    let pauseMs = 20
    let askedToken: string | null = null
    for (;;) {
      const local = held.get(id)
      if (!local) {
        const validUntil = performance.now() + leaseMs
        const acquired = await table.acquire(lock, leaseMs)
        if (acquired) {
          lock.markValid(validUntil)
          if (acquired.isTakeover) onTakeover?.(id)
          return acquired
        }
      }
      const found = await table.find(id)
      if (!found) throw errors.uploadNotFound()
      check(found.upload)
      const left = until - performance.now()
      if (left <= 0) throw errors.uploadLocked()
      if (local) {
        held.get(id)?.ask()
        await Promise.race([local.ended, sleep(left)])
        continue
      }
      const released = waiting.released(id)
      // Each holder is asked once. Another waiting request may have acquired the lease since, and is then the next holder to ask.
      if (found.token !== askedToken) await table.send({ verb: 'ask', id })
      askedToken = found.token
      await Promise.race([released.promise, sleep(Math.min(pauseMs, left))])
      released.unsubscribe()
      pauseMs = Math.min(250, pauseMs * 1.5)
    }
  }

  async function release(lock: HeldLock): Promise<void> {
    const { isReleased } = lock
    lock.markReleased()
    // A lease that cannot be released expires.
    await table.release(lock, isReleased).catch(onError)
    if (lock.isAsked) await table.send({ verb: 'free', id: lock.id }).catch(onError)
  }

  /** The upload as `look` finds it while its lock is free; otherwise as it is when its holder has released it. */
  async function whenReleased<U extends UnmeasuredUpload>(
    id: string,
    check: Check,
    look: (id: string) => Promise<FoundLease<U> | null>,
  ): Promise<U | UploadRecord> {
    const earlier = waiting.locks(id)
    const found = await look(id)
    if (!found) throw errors.uploadNotFound()
    const { upload, isHeld } = found
    check(upload)
    // A body that still waits for the lock would change the offset after this request has reported it.
    for (const lock of waiting.locks(id)) lock.stop()
    const isFree = !isHeld && !held.has(id) && earlier.every((lock) => lock.isWaiting)
    if (upload.state !== 'receiving' || isFree) return upload
    return withLock(id, check, async (_, locked) => locked.upload)
  }

  return {
    withLock,
    withNewLock,
    waitForRelease: (id, check) => whenReleased(id, check, table.find),
    readReleased: (id, check) => whenReleased(id, check, table.read),
    held: () => held.size,
    async close() {
      clearInterval(timer)
      await Promise.all([...held.values()].map((lock) => lock.ended))
    },
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
