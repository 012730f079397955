/*
 * A numbered chunk may be sent again and replaces itself: a client that did not hear the answer must. Its bytes were not reserved a
 * second time, so they are counted for the owner's day when they come. An owner whose day is full may still send what is missing, which was
 * counted when the upload was created, but no chunk that is there already. Bytes that were refused are sent again as well: they are counted
 * beside those that the upload was created for.
 */

import type { BackgroundTasks } from '../background.ts'
import { isUploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { UploadRepository } from '../ports.ts'
import { actorOfUpload, ownerKey, type UploadRecord } from '../upload.ts'

export interface RepeatedBytesOptions extends Pick<BackgroundTasks, 'runDetached'> {
  uploads: Pick<UploadRepository, 'countRepeatedBytes' | 'parts'>
  now(): Date
  /** Bytes; `null`: any number. */
  bytesPerDayOf(upload: UploadRecord): number | null
}

export interface RepeatedBytes {
  /** @throws UploadError QUOTA_EXCEEDED when the part is there and its owner's day is full */
  assertAllowed(upload: UploadRecord, number: number): Promise<void>
  count(upload: UploadRecord, bytes: number): Promise<void>
  /**
   * Counts `bytes` of a body that came and are kept nowhere, beside the answer; nothing when `cause` is the server's trouble and no
   * refusal of what the client sent.
   */
  countRefused(upload: UploadRecord, bytes: number, cause: unknown): void
}

// Of owners whose day is full; each server finds out for itself.
const maxKnown = 5000

/** Counts chunks that are sent again, over the usage that `sessions` keeps. */
export function createRepeatedBytes({ uploads, now, bytesPerDayOf, runDetached }: RepeatedBytesOptions): RepeatedBytes {
  /** The UTC day on which an owner had no room left. */
  const full = new Map<string, string>()
  const today = () => now().toISOString().slice(0, 10)

  async function count(upload: UploadRecord, bytes: number): Promise<void> {
    const limit = bytesPerDayOf(upload)
    const { ownerId, tenant } = upload
    const sent = await uploads.countRepeatedBytes({ ownerId, tenant }, bytes)
    if (limit === null || sent <= limit) return
    if (full.size >= maxKnown) full.clear()
    full.set(ownerKey(actorOfUpload(upload)), today())
  }

  return {
    count,
    async assertAllowed(upload, number) {
      const limit = bytesPerDayOf(upload)
      if (limit === null || full.get(ownerKey(actorOfUpload(upload))) !== today()) return
      if (!(await uploads.parts(upload.id)).some((part) => part.number === number)) return
      throw errors.repeatedBeyondQuota({ limit, rule: 'bytesPerDay', number })
    },
    countRefused(upload, bytes, cause) {
      const isClients = isUploadError(cause) && (cause.status < 500 || cause.code === 'BODY_TIMEOUT')
      if (isClients && bytes > 0)
        runDetached(count(upload, bytes), { uploadId: upload.id, what: 'counting bytes that were refused' })
    },
  }
}
