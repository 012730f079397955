/*
 * A final upload takes no bytes: it waits until the partial uploads that it names are complete, and is then concatenated. Until then its
 * length may be unknown.
 */
import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { tooLarge } from '../policy/rules/size.ts'
import { applyDetectedType } from '../receive/detected-type.ts'
import { type Actor, actorOfUpload, type UploadRecord } from '../upload.ts'
import { findPartials, lengthOf, readPrefix } from './concatenate.ts'

/** Whether the upload is a final one that is not concatenated yet. */
export function isAwaitingPartials({ kind, state }: UploadRecord): boolean {
  return kind === 'final' && state === 'receiving'
}

/** The partial uploads of a final one, in order; an empty list for any other upload. @throws UploadError as `findPartials` */
export function partialsOf({ uploads, now }: EngineContext, upload: UploadRecord): Promise<UploadRecord[]> {
  const ids = upload.kind === 'final' ? upload.partials : []
  return findPartials(actorOfUpload(upload), ids, uploads, now())
}

/**
 * The length of a final upload, `null` while that of a partial upload is unknown; saved once it is known. `isReady`: all of them are
 * complete.
 * @throws UploadError FILE_TOO_LARGE, and as `findPartials`
 */
export async function measureFinal(
  context: EngineContext,
  actor: Actor,
  upload: UploadRecord,
): Promise<{ size: number | null; isReady: boolean }> {
  const partials = await partialsOf(context, upload)
  const size = lengthOf(partials)
  if (size !== null && upload.size === null) {
    if (size > upload.maxSize) throw tooLarge(upload.role, upload.maxSize, size)
    const check = context.authorization.ownerCheck(actor, 'read')
    await context.leases.withLease(upload.id, check, async (lease) => {
      if (lease.upload.size === null) await lease.save({ size })
    })
  }
  return { size, isReady: areComplete(partials) }
}

/** @throws UploadError LENGTH_MISMATCH while one of the partial uploads is not complete */
export async function assertPartialsReady(context: EngineContext, upload: UploadRecord): Promise<void> {
  if (!areComplete(await partialsOf(context, upload))) throw errors.partialsNotReady()
}

/** Applies the media type that the first bytes of the file show. @throws UploadError TYPE_NOT_ALLOWED: the upload has failed */
export async function applyTypeOfFinal(
  context: EngineContext,
  lease: Lease,
  partials: UploadRecord[],
  by: Actor | null,
): Promise<void> {
  const { content, store } = context
  if (!content) return
  const size = Math.min(content.sniffLength, lease.upload.size!)
  await applyDetectedType(context, content, lease, await readPrefix(partials, size, store), by)
}

function areComplete(partials: UploadRecord[]): boolean {
  return partials.every((partial) => partial.state === 'completed')
}
