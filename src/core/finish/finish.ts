import { writeConcatenatedParts } from '../concatenation/concatenate.ts'
import { isUploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { PartWriter } from '../parts/part-writer.ts'
import { type Lease, NoSuchUpload, type ObjectInfo, type UploadRepository } from '../ports.ts'
import { failLost, isLost, type LossOptions, observeLoss } from '../transitions/loss.ts'
import { completeUpload } from '../transitions/record-end.ts'
import { type Actor, hasEveryByte, type UploadRecord } from '../upload.ts'
import { isConcatenated } from '../upload-view.ts'

export interface FinishOptions extends LossOptions {
  uploads: UploadRepository
  /** A writer over the lease's session, for the tail that must become the last part. */
  openWriter(lease: Lease, by: Actor | null): PartWriter
  /** Who wants it to be complete; `null`: the server, which was asked before. */
  by: Actor | null
  /** The partial uploads of a final one, in order. */
  partialsOf(upload: UploadRecord): Promise<UploadRecord[]>
  /** Settles what the file of a final upload is before it is begun. @throws UploadError TYPE_NOT_ALLOWED: it has failed */
  applyDetectedTypeOfFinal(lease: Lease, partials: UploadRecord[], by: Actor | null): Promise<void>
}

/**
 * Makes the object of an upload whose bytes are all recorded, and says so in the session only when the store has
 * confirmed it. May be called again after any failure, by anybody who holds the lease.
 * @throws UploadError UPLOAD_LOST when the store has surely lost the parts (the session is `failed` then); STORE_UNAVAILABLE,
 * DATABASE_ERROR when trying again may help (the session stays `finishing`)
 */
export async function finishUpload(lease: Lease, options: FinishOptions): Promise<void> {
  const { upload } = lease
  if (upload.state === 'completed' || isConcatenated(upload)) return
  const isFinal = upload.concat?.kind === 'final' && upload.size !== null
  if (!isFinal && !hasEveryByte(upload)) throw errors.notWholeYet({ offset: upload.offset })
  // From here on everybody who asks joins the finish, and the background finisher knows of it.
  if (upload.state === 'receiving') {
    await lease.save({ state: 'finishing', offset: upload.offset, prefix: upload.prefix, tail: upload.tail })
  }
  try {
    if (isFinal && !hasEveryByte(upload)) {
      const partials = await options.partialsOf(upload)
      if (upload.multipartId === null) await options.applyDetectedTypeOfFinal(lease, partials, options.by)
      await writeConcatenatedParts(lease, partials, options.store)
    }
    const whole = await options.openWriter(lease, options.by).close()
    await completeUpload(lease, whole ?? (await completeMultipart(lease, options)), options)
  } catch (error) {
    if (isFinal) await failWithoutPartials(lease, error, options)
    if (isLost(error)) return observeLoss(lease, error, options.by, options)
    throw error
  }
}

/** A partial upload that was given up meanwhile will never come again: our own rows say so, whatever the store does. */
async function failWithoutPartials(lease: Lease, error: unknown, { partialsOf, by }: FinishOptions): Promise<void> {
  const refusal = isLost(error) ? await partialsOf(lease.upload).catch((thrown: unknown) => thrown) : error
  if (isUploadError(refusal, 'UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED'))
    await failLost(lease, new NoSuchUpload('a partial upload is gone', { cause: refusal }), by)
}

async function completeMultipart(lease: Lease, { store, uploads }: FinishOptions): Promise<ObjectInfo> {
  const { upload } = lease
  if (upload.multipartId === null) throw new NoSuchUpload('no multipart upload was begun')
  const parts = await uploads.parts(upload.id)
  const size = parts.reduce((bytes, part) => bytes + part.size, 0)
  if (size !== upload.size) throw new NoSuchUpload(`the parts hold ${size} bytes and not ${upload.size}`)
  await lease.confirm()
  return store.completeMultipart(upload.key, upload.multipartId, parts)
}
