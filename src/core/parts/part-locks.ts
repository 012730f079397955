/*
 * Parts that are written outside the lease, beside each other.
 *
 * Whoever writes one claims its number first. The claim takes the receipt away that was there, so that a crash leaves a part
 * that is known to be missing and never one that is something else than its receipt says; and it keeps a second writer of the
 * same number waiting, because of two writes at once nobody can tell which one the store kept. Claims are given only while
 * nobody holds the lease, and who takes the lease waits for the claims that are there: so the two ways of writing never meet.
 * A claim runs out, like a lease, when its holder has died.
 */

import { randomUUID } from 'node:crypto'
import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { Bytes, Lease, PartLock, UploadRepository } from '../ports.ts'
import type { StoredPart } from '../upload.ts'
import { isMd5, md5Of } from './etag.ts'

export interface PartLocking {
  uploads: UploadRepository
  partLockMs: number
  /** How long somebody else's claim is waited for. */
  waitMs: number
}

export interface PartToStore {
  id: string
  number: number
  bytes: Bytes
  expiresAt: Date | null
  /** Called when no claim is to be had; resolves when there may be one now, refuses by throwing. */
  waitUntilWritable(): Promise<void>
  write(): Promise<StoredPart>
  /** Called when the part was there already, with these bytes or with others. */
  onRepeated?(): Promise<void>
}

/**
 * Writes one part under a claim and records it. Bytes that are recorded already are not written again.
 * @throws UploadError UPLOAD_LOCKED, and what `reopen` and `write` throw
 */
export async function storePart(placing: PartToStore, options: PartLocking): Promise<StoredPart> {
  const { id, number, expiresAt } = placing
  const { uploads, partLockMs } = options
  const lock: PartLock = { number, token: randomUUID(), ms: partLockMs, expiresAt, replaces: false }
  const same = await acquirePartLock(lock, placing, options)
  if (same || lock.replaces) await placing.onRepeated?.()
  if (same) return same
  const renewal = setInterval(
    // One that cannot be renewed is missed when the part is recorded.
    () => void uploads.renewPartLock(id, lock).catch(() => {}),
    partLockMs / 3,
  )
  try {
    const part = await placing.write()
    if (await uploads.recordPart(id, part, lock.token)) return part
    await placing.waitUntilWritable()
    throw uploadLocked()
  } catch (error) {
    // One that cannot be given back runs out.
    await uploads.releasePartLock(id, lock).catch(() => {})
    throw error
  } finally {
    clearInterval(renewal)
  }
}

/** Resolves to the receipt of the very same bytes, when they are there, instead of claiming them. */
async function acquirePartLock(
  lock: PartLock,
  { id, bytes, waitUntilWritable }: PartToStore,
  { uploads, waitMs }: PartLocking,
): Promise<StoredPart | null> {
  const until = performance.now() + waitMs
  for (let pauseMs = 20; ; pauseMs = Math.min(250, pauseMs * 1.5)) {
    const answer = await uploads.acquirePartLock(id, lock)
    if (answer === 'mine') return null
    if (typeof answer === 'object') {
      if (await isSame(answer, bytes)) return answer
      lock.replaces = true
      continue
    }
    if (performance.now() > until) throw uploadLocked()
    if (answer === 'closed') await waitUntilWritable()
    else await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

/** Whether a receipt is surely of these bytes: where ETags are MD5 sums it can be told. */
async function isSame({ size, etag }: StoredPart, bytes: Bytes): Promise<boolean> {
  return size === bytes.size && isMd5(etag) && (await md5Of(bytes)) === etag
}

/** Whether nobody writes a part of the upload outside the lease any more, waited for as long as others are. */
export async function waitForPartLocks(lease: Lease, { uploads, waitMs }: PartLocking): Promise<boolean> {
  if (!lease.upload.hasNumberedParts) return true
  const until = performance.now() + waitMs
  while ((await uploads.countPartLocks(lease.upload.id)) > 0) {
    if (performance.now() > until || lease.signal.aborted) return false
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return true
}

/** Somebody else is writing, and it takes longer than an answer may. */
export function uploadLocked(): UploadError {
  return errors.uploadLocked()
}
