/*
 * A part may be sent again and replaces itself: a client that did not receive the answer must send it again. The quota did not reserve its
 * bytes a second time, so they count for the owner's day when they arrive. An owner whose day is used up may still send missing parts,
 * which were counted when the upload was created, but no part that is stored already. Refused bytes are sent again as well and count
 * beside those that the upload was created with.
 */
import { type EngineContext, policyLimit } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { actorOfUpload, ownerKey, type UnmeasuredUpload } from '../upload.ts'

// Each server finds out for itself whose day is used up.
const maxOwners = 5000

/** @throws UploadError QUOTA_EXCEEDED when the part is stored already and its owner's day is used up */
export async function assertRepeatAllowed(
  context: EngineContext,
  upload: UnmeasuredUpload,
  number: number,
): Promise<void> {
  const limit = bytesPerDayOf(context, upload)
  if (limit === null || context.fullDays.get(ownerKey(actorOfUpload(upload))) !== today(context)) return
  if (!(await context.uploads.parts(upload.id)).some((part) => part.number === number)) return
  throw errors.repeatedBeyondQuota({ limit, rule: 'bytesPerDay', number })
}

/** Counts the bytes of a part that was stored already for the owner's day. */
export async function countRepeatedBytes(
  context: EngineContext,
  upload: UnmeasuredUpload,
  bytes: number,
): Promise<void> {
  const limit = bytesPerDayOf(context, upload)
  const { ownerId, tenant } = upload
  const sent = await context.uploads.countRepeatedBytes({ ownerId, tenant }, bytes)
  if (limit === null || sent <= limit) return
  if (context.fullDays.size >= maxOwners) context.fullDays.clear()
  context.fullDays.set(ownerKey(actorOfUpload(upload)), today(context))
}

/** Counts bytes of a body that the server refused and keeps nowhere, beside the answer; not where `cause` is the server's own trouble. */
export function countRefusedBytes(
  context: EngineContext,
  upload: UnmeasuredUpload,
  bytes: number,
  cause: unknown,
): void {
  const isClients = isUploadError(cause) && (cause.status < 500 || cause.code === 'BODY_TIMEOUT')
  if (!isClients || bytes <= 0) return
  context.background.runDetached(countRepeatedBytes(context, upload, bytes), {
    uploadId: upload.id,
    what: 'counting refused bytes',
  })
}

function bytesPerDayOf(context: EngineContext, upload: UnmeasuredUpload): number | null {
  return policyLimit(context, upload, 'bytesPerDay')
}

function today({ now }: EngineContext): string {
  return now().toISOString().slice(0, 10)
}
