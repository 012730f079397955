import { agreeingName } from '../media/file-endings.ts'
import { normalizeMediaType, unknownMediaType } from '../media/media-type.ts'
import { makeObjectKey, uniqueToken } from '../object-key.ts'
import { categoryOf, type Policy } from '../policy/policy.ts'
import { filenameRule } from '../policy/rules/filename.ts'
import type { Rule } from '../policy/rules/rule.ts'
import { sizeRule, tooLarge } from '../policy/rules/size.ts'
import type { StoreLimits } from '../ports.ts'
import type { Actor, CreateUpload, UploadRecord } from '../upload.ts'
import { checkFingerprint } from './fingerprint.ts'
import { choosePartSize } from './part-plan.ts'

export interface NewUploadOptions {
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
export function newUpload(actor: Actor, creation: CreateUpload, beginning: NewUploadOptions): UploadRecord {
  const { policy, limits, newId } = beginning
  const contentType = normalizeMediaType(creation.contentType)
  const isPartial = creation.concat?.kind === 'partial'
  // Of a partial upload nobody asks again what it was called; what is not asked about is not kept either.
  const category = (isPartial ? null : creation.category) ?? categoryOf(contentType)
  for (const rule of rulesFor(creation, contentType, beginning))
    rule({ actor, policy, creation: { ...creation, contentType, category } })
  if (creation.fingerprint != null) checkFingerprint(creation.fingerprint)
  const maxSize = Math.min(policy.maxSize ?? Number.POSITIVE_INFINITY, limits.maxObjectSize)
  if (creation.size !== null && creation.size > maxSize) throw tooLarge(actor.role, maxSize, creation.size, 'store')
  const createdAt = beginning.now()
  const filename = creation.filename.normalize('NFC')
  const id = newId()
  const unique = uniqueToken(newId)
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
    metadata: creation.metadata ?? null,
    fingerprint: creation.fingerprint ?? null,
    size: creation.size,
    offset: 0,
    partSize: choosePartSize({
      size: creation.size ?? maxSize,
      preferred: creation.hasNumberedParts
        ? (policy.chunkSize ?? policy.partSize ?? beginning.chunkSize)
        : (policy.partSize ?? beginning.partSize),
      limits,
      firstChunkSize: creation.firstChunkSize,
    }),
    state: 'receiving',
    failure: null,
    concat: creation.concat ?? null,
    digests: creation.digests ? { ...creation.digests, actual: {} } : null,
    createdAt,
    updatedAt: createdAt,
    completedAt: null,
    expiresAt: policy.timeToLiveMs === null ? null : new Date(createdAt.getTime() + policy.timeToLiveMs),
    multipartId: null,
    prefix: null,
    maxSize,
    timeToLiveMs: policy.timeToLiveMs,
    tail: [],
    etag: null,
    hasNumberedParts: creation.hasNumberedParts ?? false,
    needsCleanup: false,
    lossSeenAt: null,
    deleteDueAt: null,
  }
}

function rulesFor(creation: CreateUpload, contentType: string, { rules, contentRules }: NewUploadOptions): Rule[] {
  // A partial upload is no file yet: what the file is, and whether it may be, is asked when the parts are joined.
  if (creation.concat?.kind === 'partial') return [filenameRule, sizeRule]
  const isOpen = contentRules !== undefined && contentType === unknownMediaType && creation.category === undefined
  return isOpen ? rules.filter((rule) => !contentRules.includes(rule)) : rules
}
