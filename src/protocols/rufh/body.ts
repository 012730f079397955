import type { FastifyRequest } from 'fastify'
import type { AppendRequest, Engine } from '../../core/engine.ts'
import { isUploadError } from '../../core/errors/error.ts'
import { bodySizeOf } from '../../http/body/length.ts'
import { contentDigest } from './digests.ts'
import type { Interim } from './interim.ts'
import type { Dialect } from './versions.ts'

/** The append of the body of `request`, of a creation or of an append. */
export function appendOf(
  { raw, headers }: FastifyRequest,
  dialect: Dialect,
  interim: Interim,
  { offset, size, isLast }: Pick<AppendRequest, 'offset' | 'size'> & { isLast: boolean },
): AppendRequest {
  return {
    offset,
    size,
    body: raw,
    bodySize: bodySizeOf(headers),
    ending: isLast ? 'with-body' : dialect.completesAtFullLength ? 'at-size' : 'later',
    digest: contentDigest(headers),
    onProgress: interim.progress,
  }
}

/**
 * Ends upload `id` if `error` says that its body is longer than the file: from interop version 8 on the server must. Throws `error`.
 * @param id `undefined`: the creation failed, so there is no upload
 */
export async function endOnExcess(
  engine: Engine,
  request: FastifyRequest,
  id: string | undefined,
  dialect: Dialect,
  error: unknown,
): Promise<never> {
  if (id && dialect.cancelsOnExcess && isUploadError(error, 'LENGTH_MISMATCH') && error.facts.overflow === true)
    await deactivate(engine, request, id)
  throw error
}

/** Cancels an upload after a rejected append, unless another request has completed or ended it since. */
async function deactivate(engine: Engine, { actor }: FastifyRequest, id: string): Promise<void> {
  try {
    await engine.cancel(actor, id, { endsAppend: true, sparesCompleted: true })
  } catch (error) {
    if (!isUploadError(error, 'UPLOAD_COMPLETED', 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST')) throw error
  }
}
