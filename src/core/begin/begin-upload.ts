import type { EngineOptions } from '../engine-options.ts'
import { eventOf } from '../events.ts'
import { lengthOf, preferredJoinSize } from '../finish/concatenate.ts'
import type { Policy } from '../policy/policy.ts'
import type { Actor, Session, Wish } from '../upload.ts'
import { newSession } from './new-session.ts'
import { makeNamedKey, uniqueWord } from './object-key.ts'

/**
 * Makes the session of an upload that may begin, and records it: room is reserved from then on.
 * `repeated` are the uploads that earlier requests with the same words may have made.
 * @param partials of which a final upload will be made; `null` for any other
 * @throws UploadError from the rules, from who has the last word, QUOTA_EXCEEDED, RATE_LIMITED
 */
export async function beginUpload(
  actor: Actor,
  wish: Wish,
  partials: Session[] | null,
  policy: Policy,
  options: EngineOptions,
): Promise<{ session: Session; repeated: string[] }> {
  const { partSize, chunkSize, nameObject, newId } = options
  // Parts that divide what the partial uploads are long lie over no seam: then the store copies all of them.
  const whole = partials && { ...wish, size: lengthOf(partials), firstChunkSize: partials[0]?.size ?? undefined }
  const session = newSession(actor, whole ?? wish, {
    policy,
    rules: options.rules,
    contentRules: options.content?.rules,
    limits: options.store.limits,
    keyTemplate: options.keyTemplate,
    partSize: whole ? preferredJoinSize(whole.size, partSize) : partSize,
    chunkSize,
    newId,
    now: options.now,
  })
  const { filename, contentType, category } = session
  const known = { ...wish, filename, contentType, category }
  await options.permit?.({ actor, verb: 'create', wish: known })
  if (nameObject && wish.concat?.kind !== 'partial') {
    const unique = uniqueWord(newId)
    const name = await nameObject({ actor, wish: known, id: session.id, unique })
    session.key = makeNamedKey(name, session.id, unique)
  }
  const repeated = await options.sessions.insert(session, eventOf('upload.created', session), policy, actor)
  return { session, repeated }
}
