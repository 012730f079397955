import { agreeingName } from '../content/endings.ts'
import { normalizeMediaType, unknownMediaType } from '../content/media-type.ts'
import { categoryOf, type Policy } from '../policy/policy.ts'
import type { StoreLimits } from '../ports.ts'
import { filenameRule } from '../rules/filename.ts'
import type { Rule } from '../rules/rule.ts'
import { sizeRule, tooLarge } from '../rules/size.ts'
import type { Actor, Session, Wish } from '../upload.ts'
import { checkFingerprint } from './fingerprint.ts'
import { makeObjectKey, uniqueWord } from './object-key.ts'
import { choosePartSize } from './part-plan.ts'

export interface Beginning {
  policy: Policy
  rules: Rule[]
  /** Those that ask what the file is. They wait for its first bytes when those will be looked at and the client does not say. */
  contentRules?: Rule[] | undefined
  limits: StoreLimits
  keyTemplate: string
  /** Bytes; what a part has unless the file needs larger ones. */
  partSize: number
  /** Bytes; what a chunk has of a file that comes in numbered chunks, each of them one part. */
  chunkSize: number
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
  const isPartial = wish.concat?.kind === 'partial'
  // Of a partial upload nobody asks again what it was called; what is not asked about is not kept either.
  const category = (isPartial ? null : wish.category) ?? categoryOf(contentType)
  for (const rule of rulesFor(wish, contentType, beginning))
    rule({ actor, policy, wish: { ...wish, contentType, category } })
  if (wish.fingerprint != null) checkFingerprint(wish.fingerprint)
  const maxSize = Math.min(policy.maxSize ?? Number.POSITIVE_INFINITY, limits.maxObjectSize)
  if (wish.size !== null && wish.size > maxSize) throw tooLarge(actor.role, maxSize, wish.size, 'store')
  const createdAt = beginning.now()
  const filename = wish.filename.normalize('NFC')
  const id = newId()
  const unique = uniqueWord(newId)
  const words = {
    role: actor.role,
    user: actor.id,
    createdAt,
    category,
    unique,
    filename: agreeingName(filename, contentType),
  }
  return {
    id,
    ownerId: actor.id,
    tenant: actor.tenant,
    role: actor.role,
    agent: actor.agent ?? null,
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
      preferred: wish.byChunks
        ? (policy.chunkSize ?? policy.partSize ?? beginning.chunkSize)
        : (policy.partSize ?? beginning.partSize),
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
    head: null,
    maxSize,
    timeToLiveMs: policy.timeToLiveMs,
    tail: [],
    etag: null,
    isScattered: wish.byChunks ?? false,
    isDirty: false,
    lossSeenAt: null,
    deleteDueAt: null,
  }
}

function rulesFor(wish: Wish, contentType: string, { rules, contentRules }: Beginning): Rule[] {
  // A partial upload is no file yet: what the file is, and whether it may be, is asked when the parts are joined.
  if (wish.concat?.kind === 'partial') return [filenameRule, sizeRule]
  const isOpen = contentRules !== undefined && contentType === unknownMediaType && wish.category === undefined
  return isOpen ? rules.filter((rule) => !contentRules.includes(rule)) : rules
}
