import type { FastifyRequest } from 'fastify'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError } from '../../core/errors/error.ts'
import type { Upload } from '../../core/upload.ts'
import { bodySizeOf } from '../../http/body/length.ts'
import { contentDigest } from './digests.ts'
import type { Interim } from './interim.ts'
import type { Dialect } from './versions.ts'

/**
 * Appends the body of `request` to upload `id`, for creations and for appends.
 * @throws UploadError as `Engine.append`
 */
export async function appendBody(
  engine: Engine,
  request: FastifyRequest,
  id: string,
  dialect: Dialect,
  interim: Interim,
  append: Pick<AppendRequest, 'offset' | 'size' | 'repeats'> & { isLast: boolean },
): Promise<Upload> {
  const { offset, size, isLast, repeats } = append
  try {
    return await engine.append(request.actor, id, {
      offset,
      size,
      body: request.raw,
      bodySize: bodySizeOf(request.headers),
      ending: isLast ? 'with-body' : dialect.completesAtFullLength ? 'at-size' : 'later',
      digest: contentDigest(request.headers),
      repeats,
      onProgress: interim.progress,
    })
  } catch (error) {
    // The body is longer than the file. From interop version 8 on, the server must end an upload whose length and bytes contradict.
    if (dialect.cancelsOnExcess && isUploadError(error, 'LENGTH_MISMATCH') && error.facts.overflow === true)
      await deactivate(engine, request, id)
    throw error
  }
}

/** Cancels an upload after a rejected append, unless another request has completed or ended it since. */
async function deactivate(engine: Engine, { actor }: FastifyRequest, id: string): Promise<void> {
  try {
    await engine.cancel(actor, id, { endsAppend: true, sparesCompleted: true })
  } catch (error) {
    if (!isUploadError(error, 'UPLOAD_COMPLETED', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST')) throw error
  }
}
