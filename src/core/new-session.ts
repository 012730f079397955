import { checkFingerprint } from './fingerprint.ts'
import { normalizeMediaType } from './media-type.ts'
import { makeObjectKey } from './object-key.ts'
import { choosePartSize } from './part-plan.ts'
import { categoryOf, type Policy } from './policy.ts'
import type { StoreLimits } from './ports.ts'
import type { Rule } from './rules/rule.ts'
import { sizeRule, tooLarge } from './rules/size.ts'
import type { Actor, Session, Wish } from './upload.ts'

export interface Beginning {
  policy: Policy
  rules: Rule[]
  limits: StoreLimits
  keyTemplate: string
  /** Bytes; what a part has unless the file needs larger ones. */
  partSize: number
  newId(): string
  now(): Date
}

/** Where partial uploads lie until they are joined: nobody but the server sees them. */
const partialFolder = '.landfall/partials/'

/**
 * The session of an upload that may begin.
 * @throws UploadError from the first rule that refuses
 */
export function newSession(actor: Actor, wish: Wish, beginning: Beginning): Session {
  const { policy, limits, newId } = beginning
  const contentType = normalizeMediaType(wish.contentType)
  const category = wish.category ?? categoryOf(contentType)
  const isPartial = wish.concat?.kind === 'partial'
  // A partial upload is no file yet: what the file is, and whether it may be, is asked when the parts are joined.
  for (const rule of isPartial ? [sizeRule] : beginning.rules)
    rule({ actor, policy, wish: { ...wish, contentType, category } })
  if (wish.fingerprint != null) checkFingerprint(wish.fingerprint)
  const maxSize = Math.min(policy.maxSize ?? Number.POSITIVE_INFINITY, limits.maxObjectSize)
  if (wish.size !== null && wish.size > maxSize) throw tooLarge(actor.role, maxSize, wish.size, 'store')
  const createdAt = beginning.now()
  const filename = wish.filename.normalize('NFC')
  const id = newId()
  const unique = newId().replaceAll('-', '')
  const words = { role: actor.role, user: actor.id, createdAt, category, unique, filename }
  return {
    id,
    ownerId: actor.id,
    tenant: actor.tenant,
    role: actor.role,
    key: isPartial ? partialFolder + unique : makeObjectKey(beginning.keyTemplate, words),
    filename,
    contentType,
    category,
    metadata: wish.metadata ?? null,
    fingerprint: wish.fingerprint ?? null,
    size: wish.size,
    offset: 0,
    partSize: choosePartSize({
      size: wish.size ?? maxSize,
      preferred: policy.partSize ?? beginning.partSize,
      limits,
      firstChunkSize: wish.firstChunkSize,
    }),
    state: 'receiving',
    failure: null,
    concat: wish.concat ?? null,
    digests: wish.digests ? { ...wish.digests, actual: {} } : null,
    createdAt,
    updatedAt: createdAt,
    completedAt: null,
    expiresAt: policy.timeToLiveMs === null ? null : new Date(createdAt.getTime() + policy.timeToLiveMs),
    handle: null,
    maxSize,
    timeToLiveMs: policy.timeToLiveMs,
    tail: [],
    etag: null,
    isScattered: wish.byChunks ?? false,
    isDirty: false,
  }
}
