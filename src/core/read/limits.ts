import { type EngineContext, policyOf } from '../engine-context.ts'
import type { Actor } from '../upload.ts'

/** What a role may send, for answers that announce limits. Sizes are bytes. */
export interface Limits {
  maxSize: number
  minPartSize: number
  /** `null`: uploads do not expire. */
  timeToLiveMs: number | null
}

/** The limits of the actor. @throws UploadError ROLE_NOT_ALLOWED */
export function limits(context: EngineContext, actor: Actor): Limits {
  const { maxSize, timeToLiveMs } = policyOf(context, actor)
  const { maxObjectSize, minPartSize } = context.store.limits
  return { maxSize: Math.min(maxSize ?? Number.POSITIVE_INFINITY, maxObjectSize), minPartSize, timeToLiveMs }
}
