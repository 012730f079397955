import type { FastifyRequest } from 'fastify'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError } from '../../core/errors/error.ts'
import type { Upload } from '../../core/upload.ts'
import { contentDigest } from './digests.ts'
import type { Interim } from './interim.ts'
import type { Dialect } from './versions.ts'

/** What Content-Length says of a body; 0 without a body, `null` when only its end will tell. */
export function bodySizeOf({ raw: { headers } }: FastifyRequest): number | null {
  if (headers['transfer-encoding'] !== undefined) return null
  return Number(headers['content-length'] ?? 0)
}

/**
 * Appends the body of `request` to upload `id`, with all that creations and appends have in common.
 * @throws UploadError as `Engine.append`
 */
export async function appendBody(
  engine: Engine,
  request: FastifyRequest,
  id: string,
  dialect: Dialect,
  interim: Interim,
  chunk: Pick<AppendRequest, 'offset' | 'size' | 'repeats'> & { isLast: boolean },
): Promise<Upload> {
  const { offset, size, isLast, repeats } = chunk
  try {
    return await engine.append(request.actor, id, {
      offset,
      size,
      body: request.raw,
      bodySize: bodySizeOf(request),
      ending: isLast ? 'with-body' : dialect.completesAtFullLength ? 'at-size' : 'later',
      digest: contentDigest(request.headers),
      repeats,
      onProgress: interim.progress,
    })
  } catch (error) {
    // More bytes than the file has: whichever of the two is wrong, nothing can be made of it any more (draft -08 on).
    if (dialect.cancelsOnExcess && isUploadError(error, 'LENGTH_MISMATCH') && error.facts.overflow === true)
      await deactivate(engine, request, id)
    throw error
  }
}

/** Ends an upload after the refusal of an append to it, unless another request has completed or ended it since. */
async function deactivate(engine: Engine, { actor }: FastifyRequest, id: string): Promise<void> {
  try {
    await engine.cancel(actor, id, { endsAppend: true, sparesCompleted: true })
  } catch (error) {
    if (!isUploadError(error, 'UPLOAD_COMPLETED', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST')) throw error
  }
}
