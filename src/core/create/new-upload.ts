import type { EngineContext } from '../engine-context.ts'
import { agreeingName } from '../media/file-endings.ts'
import { normalizeMediaType, unknownMediaType } from '../media/media-type.ts'
import { makeObjectKey, uniqueToken } from '../object-key.ts'
import { categoryOf } from '../policy/categories.ts'
import type { CreationRule, Policy } from '../policy/policy.ts'
import { filenameRule } from '../policy/rules/filename.ts'
import { sizeRule, tooLarge } from '../policy/rules/size.ts'
import { type Actor, type CreateUpload, initialFields, type UploadRecord, type UploadSource } from '../upload.ts'
import { checkFingerprint } from './fingerprint.ts'
import { choosePartSize } from './part-plan.ts'

/** The folder of partial uploads until they are concatenated; it is the server's own. */
const partialFolder = '.landfall/partials/'

/**
 * The row of a new upload that passes the rules.
 * @param partSize bytes; of appended uploads, unless the policy or the file needs another
 * @throws UploadError from the first rule that refuses
 */
export function newUpload(
  context: Pick<EngineContext, 'settings' | 'store' | 'rules' | 'content' | 'newId' | 'now'>,
  actor: Actor,
  creation: CreateUpload,
  policy: Policy,
  partSize: number,
): UploadRecord {
  const { settings, store, newId, now } = context
  const { limits } = store
  const contentType = normalizeMediaType(creation.contentType)
  const source = sourceOf(creation)
  const { isPartial } = source
  // The category of a partial upload is never shown, so the client's is not checked and not kept.
  const category = (isPartial ? null : creation.category) ?? categoryOf(contentType)
  for (const rule of rulesFor(context, creation, contentType))
    rule({ actor, policy, creation: { ...creation, contentType, category } })
  if (creation.fingerprint != null) checkFingerprint(creation.fingerprint)
  const maxSize = Math.min(policy.maxSize ?? Number.POSITIVE_INFINITY, limits.maxObjectSize)
  if (creation.size !== null && creation.size > maxSize) throw tooLarge(actor.role, maxSize, creation.size, 'store')
  const createdAt = now()
  const filename = creation.filename.normalize('NFC')
  const id = newId()
  const unique = uniqueToken(newId)
  const values = {
    role: actor.role,
    user: actor.id,
    createdAt,
    category,
    unique,
    filename: agreeingName(filename, contentType),
  }
  return {
    ...initialFields(),
    ...source,
    id,
    ownerId: actor.id,
    tenant: actor.tenant,
    role: actor.role,
    agent: actor.agent ?? null,
    key: isPartial ? partialFolder + unique : makeObjectKey(settings.keyTemplate, values),
    filename,
    contentType,
    category,
    metadata: creation.metadata ?? null,
    fingerprint: creation.fingerprint ?? null,
    size: creation.size,
    partSize: choosePartSize({
      size: creation.size ?? maxSize,
      preferred:
        source.kind === 'parted'
          ? (policy.chunkSize ?? policy.partSize ?? settings.chunkSize)
          : (policy.partSize ?? partSize),
      limits,
      firstChunkSize: creation.firstChunkSize,
    }),
    digests: creation.digests ? { ...creation.digests, actual: {} } : null,
    createdAt,
    updatedAt: createdAt,
    expiresAt: policy.timeToLiveMs === null ? null : new Date(createdAt.getTime() + policy.timeToLiveMs),
    maxSize,
    timeToLiveMs: policy.timeToLiveMs,
  }
}

function sourceOf(creation: CreateUpload): UploadSource {
  if (creation.kind !== 'final') return { kind: creation.kind ?? 'sequential', isPartial: creation.isPartial ?? false }
  const { kind, isPartial, partials, uploadConcat } = creation
  return { kind, isPartial, partials, uploadConcat }
}

/**
 * The rules that a creation has to pass. A partial upload is not a file: its type is checked when it is concatenated. Where the first bytes
 * will be looked at and the client names no type, the rules about the type wait for those bytes.
 */
function rulesFor(
  { rules, content }: Pick<EngineContext, 'rules' | 'content'>,
  creation: CreateUpload,
  contentType: string,
): readonly CreationRule[] {
  if (creation.isPartial) return [filenameRule, sizeRule]
  const isOpen = content !== null && contentType === unknownMediaType && creation.category === undefined
  return isOpen ? rules.filter((rule) => !content.rules.includes(rule)) : rules
}
