/*
 * A final upload takes no bytes: it waits until the partial uploads it names are whole, and is then joined of them. Until then
 * it may even be unknown how long it is.
 */

import type { Authorization } from '../access/authorization.ts'
import type { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { tooLarge } from '../policy/rules/size.ts'
import type { Lease, Locker, ObjectStore, UploadRepository } from '../ports.ts'
import { applyDetectedTypeOfFinal, type ContentPolicy } from '../receive/content-gate.ts'
import { type Actor, actorOfUpload, type UploadRecord } from '../upload.ts'
import { findPartials, lengthOf, readPrefix } from './concatenate.ts'

export interface FinalUploadsOptions {
  uploads: UploadRepository
  store: ObjectStore
  locker: Locker
  authorization: Authorization
  /** Absent: a file is what it is said to be. */
  contentPolicy: ContentPolicy | null
  now(): Date
}

export interface FinalUploads {
  /** Its partial uploads, in order; none of any other upload. */
  partialsOf(upload: UploadRecord): Promise<UploadRecord[]>
  /**
   * How long it is, as far as its partial uploads know; once known that is recorded. `isReady`: all of them are whole.
   * @throws UploadError FILE_TOO_LARGE, and as `findPartials`
   */
  measure(actor: Actor, upload: UploadRecord): Promise<{ size: number | null; isReady: boolean }>
  /** @throws UploadError LENGTH_MISMATCH while one of its partial uploads is not whole */
  assertReady(upload: UploadRecord): Promise<void>
  /** What the file is, its first partial upload says. @throws UploadError TYPE_NOT_ALLOWED: the upload has failed */
  applyDetectedType(lease: Lease, partials: UploadRecord[], by: Actor | null): Promise<void>
}

/** Final uploads over one store, one database and one lock. */
export function createFinalUploads({
  uploads,
  store,
  locker,
  authorization,
  contentPolicy,
  now,
}: FinalUploadsOptions): FinalUploads {
  function partialsOf(upload: UploadRecord): Promise<UploadRecord[]> {
    const from = upload.concat?.kind === 'final' ? upload.concat.from : []
    return findPartials(actorOfUpload(upload), from, uploads, now())
  }

  return {
    partialsOf,
    async measure(actor, upload) {
      const partials = await partialsOf(upload)
      const size = lengthOf(partials)
      if (size !== null && upload.size === null) {
        if (size > upload.maxSize) throw tooLarge(upload.role, upload.maxSize, size)
        await locker.withLock(upload.id, authorization.ownerCheck(actor, 'read'), async (lease) => {
          if (lease.upload.size === null) await lease.save({ size })
        })
      }
      return { size, isReady: areWhole(partials) }
    },
    async assertReady(upload) {
      if (!areWhole(await partialsOf(upload))) throw partialsNotReady()
    },
    async applyDetectedType(lease, partials, by) {
      if (!contentPolicy) return
      const size = Math.min(contentPolicy.check.sniffLength, lease.upload.size!)
      await applyDetectedTypeOfFinal(lease, await readPrefix(partials, size, store), contentPolicy, by)
    },
  }
}

/** Whether the upload is a final one that is still to be joined. */
export function isAwaitingPartials({ concat, state }: UploadRecord): boolean {
  return concat?.kind === 'final' && state === 'receiving'
}

/** Nobody can say that a final upload is whole: its partial uploads are, or it is not. */
export function partialsNotReady(): UploadError {
  return errors.partialsNotReady()
}

function areWhole(partials: UploadRecord[]): boolean {
  return partials.every((partial) => partial.state === 'completed')
}
