/*
 * The answer to a request that creates an upload and brings the whole file may be lost. Its client sends the same request again: that is
 * the same file and must not become a second one. A file that a user sends twice on purpose differs from it: the earlier answer may have
 * been lost, both requests say the same, and their bytes are equal. The earlier upload is complete and its listeners were notified, so
 * it stays, and the later one ends before it is complete.
 */
import { createHash, type Hash } from 'node:crypto'
import type { BodySlot } from '../body/body-gate.ts'
import type { EngineContext } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { readDigests } from '../file-digest.ts'
import { NoSuchKey } from '../ports/object-store.ts'
import { status } from '../read/status.ts'
import type { Actor, Upload, UploadRecord } from '../upload.ts'
import { toUpload } from '../upload-state.ts'
import { readIncoming } from './read-body.ts'
import type { AppendRequest, Repeat } from './requests.ts'

/** What a whole body was. */
export interface BodyIdentity {
  size: number
  /** Base64. */
  sha256: string
}

/** The hash that tells one whole body from another. */
export function hashOfBody(): Hash {
  return createHash('sha256')
}

/**
 * The one of the uploads `ids` that is complete and made of exactly this body, whose client knows it from then on; `null` when none is.
 * @throws UploadError STORE_UNAVAILABLE while one of them is still finishing
 */
export async function findRepeated(
  context: EngineContext,
  actor: Actor,
  ids: string[],
  body: BodyIdentity,
): Promise<UploadRecord | null> {
  for (const id of ids) {
    if (!(await isMadeOf(context, actor, id, body))) continue
    await context.uploads.clearAnswerLost(id)
    return context.uploads.find(id)
  }
  return null
}

/**
 * Reads a body without keeping it, because the quota has no room for another upload, and returns the upload that was made of it before.
 * @throws UploadError the error of the creation when the body is another file
 */
export async function readRepeatedBody(
  context: EngineContext,
  actor: Actor,
  request: AppendRequest,
  { ids, creationError }: Repeat,
  slot: BodySlot,
): Promise<Upload> {
  const earlier = await context.uploads.findAll(ids)
  const [first] = earlier
  if (!first) throw creationError
  // A body that is longer than every earlier upload is another file; the rest of it need not be read.
  const limit = Math.max(0, ...earlier.map((upload) => upload.size ?? 0))
  const hash = hashOfBody()
  let size = 0
  const { end } = await readIncoming(context, first, {
    stream: request.body,
    limit,
    partNumber: null,
    slot,
    take(bytes) {
      size += bytes.length
      request.digest?.update(bytes)
      hash.update(bytes)
      return null
    },
  })
  if (end !== 'complete' && size !== request.bodySize) throw creationError
  request.digest?.verify()
  const found = await findRepeated(context, actor, ids, { size, sha256: hash.digest('base64') })
  if (!found) throw creationError
  return toUpload(found)
}

async function isMadeOf(context: EngineContext, actor: Actor, id: string, body: BodyIdentity): Promise<boolean> {
  const upload = await status(context, actor, id, 'later').catch((error: unknown) => {
    if (isUploadError(error, 'UPLOAD_NOT_FOUND', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST')) return null
    // The earlier request is still making the file.
    throw isUploadError(error, 'UPLOAD_LOCKED') ? errors.stillFinishing() : error
  })
  if (upload?.state !== 'completed' || upload.size !== body.size) return false
  const wanted = { expected: {}, wanted: ['sha-256' as const], actual: upload.digests?.actual ?? {} }
  const digests = await readDigests(wanted, context.store, upload.key).catch((error: unknown) => {
    if (error instanceof NoSuchKey) return null
    throw error
  })
  return digests?.actual['sha-256'] === body.sha256
}
