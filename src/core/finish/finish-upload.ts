import { writeConcatenatedParts } from '../concatenation/concatenate.ts'
import { applyTypeOfFinal, partialsOf } from '../concatenation/final-uploads.ts'
import { crc32OfRanges } from '../crc32.ts'
import type { EngineContext } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { NoSuchUpload, type WrittenObject } from '../ports/object-store.ts'
import { openPartWriter } from '../receive/open-writer.ts'
import { beginFinishing } from '../transitions/begin-finishing.ts'
import { completeUpload } from '../transitions/complete.ts'
import { failLost, isLost, observeLoss } from '../transitions/loss.ts'
import { type Actor, hasEveryByte, type StoredPart } from '../upload.ts'
import { isConcatenated } from '../upload-state.ts'

/**
 * Makes the object of an upload whose bytes are all recorded, and saves `completed` only when the store has confirmed it. May be called
 * again after any failure, by any lease holder.
 * @param by who asks for it; `null`: the server, after the client had asked
 * @param known all parts, when the caller has just recorded them; otherwise they are read
 * @throws UploadError UPLOAD_LOST when the store has lost the parts (the upload has failed then); STORE_UNAVAILABLE,
 * DATABASE_ERROR when trying again may help (the upload stays `finishing`)
 */
export async function finishUpload(
  context: EngineContext,
  lease: Lease,
  by: Actor | null,
  known: StoredPart[] | null = null,
): Promise<void> {
  const { upload } = lease
  if (upload.state === 'completed' || isConcatenated(upload)) return
  const isFinal = upload.kind === 'final' && upload.size !== null
  if (!isFinal && !hasEveryByte(upload)) throw errors.notWholeYet({ offset: upload.offset })
  if (upload.state === 'receiving') await beginFinishing(lease)
  try {
    if (isFinal && !hasEveryByte(upload)) {
      const partials = await partialsOf(context, upload)
      if (upload.multipartId === null) await applyTypeOfFinal(context, lease, partials, by)
      await writeConcatenatedParts(lease, partials, context.store)
    }
    const object = known === null ? await storeTail(context, lease, by) : null
    await completeUpload(context, lease, object ?? (await completeMultipart(context, lease, known)), by)
  } catch (error) {
    if (isFinal) await failWithoutPartials(context, lease, error, by)
    if (isLost(error)) return observeLoss(context, lease, error, by)
    throw error
  }
}

/** A partial upload that ended meanwhile will never come back: the database says so, whatever the store does. */
async function failWithoutPartials(
  context: EngineContext,
  lease: Lease,
  error: unknown,
  by: Actor | null,
): Promise<void> {
  const cause = isLost(error) ? await partialsOf(context, lease.upload).catch((thrown: unknown) => thrown) : error
  if (isUploadError(cause, 'UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED'))
    await failLost(lease, new NoSuchUpload('a partial upload is gone', { cause }), by)
}

/** Writes the tail as the last part, or the whole file as one object, which is returned then. */
async function storeTail(context: EngineContext, lease: Lease, by: Actor | null): Promise<WrittenObject | null> {
  const { object } = await openPartWriter(context, lease, by).close()
  return object
}

async function completeMultipart(
  { store, uploads }: EngineContext,
  lease: Lease,
  known: StoredPart[] | null,
): Promise<WrittenObject> {
  const { upload } = lease
  if (upload.multipartId === null) throw new NoSuchUpload('no multipart upload was created')
  const parts = known ?? (await uploads.parts(upload.id))
  const size = parts.reduce((bytes, part) => bytes + part.size, 0)
  if (size !== upload.size) throw new NoSuchUpload(`the parts hold ${size} bytes and not ${upload.size}`)
  await lease.confirm()
  const { key, multipartId } = upload
  const info = await lease.ledger.writing(key, () => store.completeMultipart(key, multipartId, parts))
  // That of a final upload is known from its partial uploads, also where the store copied the parts.
  return { ...info, crc32: upload.crc32 ?? crc32OfRanges(parts) }
}
