/*
 * Parts that are written outside the lease, in parallel.
 *
 * A request takes the lock of its part before it writes it. Taking the lock removes the row of the part that was there, so that after a
 * crash a part is known to be missing and never differs from what its row says; and a second writer of the same part has to wait, because
 * after two writes at once neither could tell which one the store kept. Part locks are given only while the lease is free, and a lease
 * holder waits for the part locks that exist: so the two ways of writing never meet. A part lock expires, like a lease, when its holder
 * has died.
 */
import { randomUUID } from 'node:crypto'
import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import type { Bytes } from '../ports/object-store.ts'
import type { PartLock } from '../ports/uploads.ts'
import type { StoredPart } from '../upload.ts'
import { isMd5, md5Of } from './etag.ts'

/** A part that is whole in memory or in tail objects, and how it gets into the store. */
export interface PartToStore {
  id: string
  number: number
  bytes: Bytes
  expiresAt: Date | null
  /** Called when the lock is not to be had; resolves when it may be, rejects when the upload takes no parts any more. */
  waitUntilWritable(): Promise<void>
  write(): Promise<StoredPart>
  /** Called when the part was stored already, with the same bytes or with others. */
  onRepeated?(): Promise<void>
}

/**
 * Writes one part under its lock and records it. Bytes that are recorded already are not written again.
 * @throws UploadError UPLOAD_LOCKED, and what `waitUntilWritable` and `write` throw
 */
export async function storePart({ uploads, settings }: EngineContext, part: PartToStore): Promise<StoredPart> {
  const { id, number, expiresAt } = part
  const { partLockMs, partLockWaitMs } = settings
  const lock: PartLock = { number, token: randomUUID(), ms: partLockMs, expiresAt, replaces: false }
  const same = await acquire()
  if (same || lock.replaces) await part.onRepeated?.()
  if (same) return same
  const renewal = setInterval(
    // A lock that could not be renewed is noticed when the part is recorded.
    () => void uploads.renewPartLock(id, lock).catch(() => {}),
    partLockMs / 3,
  )
  try {
    const stored = await part.write()
    if (await uploads.recordPart(id, stored, lock.token)) return stored
    await part.waitUntilWritable()
    throw errors.uploadLocked()
  } catch (error) {
    // A lock that cannot be released expires.
    await uploads.releasePartLock(id, lock).catch(() => {})
    throw error
  } finally {
    clearInterval(renewal)
  }

  /** Takes the lock; or returns the stored part when it has exactly these bytes. */
  async function acquire(): Promise<StoredPart | null> {
    const until = performance.now() + partLockWaitMs
    for (let pauseMs = 20; ; pauseMs = Math.min(250, pauseMs * 1.5)) {
      const answer = await uploads.acquirePartLock(id, lock)
      if (answer === 'mine') return null
      if (typeof answer === 'object') {
        if (await isSame(answer, part.bytes)) return answer
        lock.replaces = true
        continue
      }
      if (performance.now() > until) throw errors.uploadLocked()
      if (answer === 'closed') await part.waitUntilWritable()
      else await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }
}

/** Whether the stored part surely has these bytes, which only an ETag that is an MD5 sum can tell. */
async function isSame({ size, etag }: StoredPart, bytes: Bytes): Promise<boolean> {
  return size === bytes.size && isMd5(etag) && (await md5Of(bytes)) === etag
}

/** Waits until no part of the upload is being written outside the lease, and reads it then. False when that takes longer than a request may wait. */
export async function waitForPartLocks({ settings }: EngineContext, lease: Lease): Promise<boolean> {
  if (lease.upload.kind !== 'parted') return true
  const until = performance.now() + settings.partLockWaitMs
  while (!(await lease.readUnlocked())) {
    if (performance.now() > until || lease.signal.aborted) return false
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return true
}

/** The same. @throws UploadError UPLOAD_LOCKED when it takes too long */
export async function assertNoPartLocks(context: EngineContext, lease: Lease): Promise<void> {
  if (!(await waitForPartLocks(context, lease))) throw errors.uploadLocked()
}
