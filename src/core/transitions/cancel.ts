import type { EngineContext } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { Actor } from '../upload.ts'
import { endFor } from './end.ts'

/** Which uploads a cancellation leaves alone, and in whose name it comes. */
export interface CancelOptions {
  /** A completed upload stays. */
  sparesCompleted?: boolean
  /** A creation or an append ends what it brought itself: it needs no other right than its own. */
  endsAppend?: boolean
}

/** Ends the upload and frees its storage: see `Engine.cancel`. */
export async function cancel(
  context: EngineContext,
  actor: Actor,
  id: string,
  { sparesCompleted = false, endsAppend = false }: CancelOptions = {},
): Promise<void> {
  // A resume token never deletes a file.
  const spares = sparesCompleted || actor.resumeUploadId !== undefined
  try {
    await endFor(context, actor, id, endsAppend ? 'append' : 'cancel', 'cancelled', ({ state }) => {
      if (spares && state === 'completed') throw errors.uploadCompleted()
    })
  } catch (error) {
    if (isUploadError(error, 'UPLOAD_GONE') && (await isCancellationLost(context, id))) return
    throw error
  }
}

/** Whether the client repeats a cancellation because it did not receive the answer: it asks for what is the case. */
async function isCancellationLost({ uploads, markingLost }: EngineContext, id: string): Promise<boolean> {
  // The end of a connection is seen before its client can ask again.
  await Promise.allSettled(markingLost)
  return uploads.isCancellationLost(id)
}
