import { type EngineContext, policyOf } from '../engine-context.ts'
import { isUploadError, type UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { agreeingName } from '../media/file-endings.ts'
import { unknownMediaType } from '../media/media-type.ts'
import { resolveMediaType, type Sniffed } from '../media/resolve.ts'
import { makeObjectKey, uniqueToken } from '../object-key.ts'
import { categoryOf } from '../policy/categories.ts'
import type { ContentCheck } from '../policy/content-check.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import { failUpload } from '../transitions/fail.ts'
import { type Actor, actorOfUpload, type UnmeasuredUpload, type UploadRecord } from '../upload.ts'
import { toUpload } from '../upload-state.ts'

/**
 * What changes in the row when the first bytes, `prefix`, show `sniffed`: media type, category, and the key that goes with them; `null`:
 * nothing.
 * @throws UploadError from the rules: TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED
 */
export function detectedTypePatch(
  context: EngineContext,
  content: ContentCheck,
  upload: UnmeasuredUpload,
  prefix: Buffer,
  sniffed: Sniffed,
): UploadPatch | null {
  const said = upload.contentType
  // An empty file contradicts no type.
  const contentType = prefix.length === 0 ? said : resolveMediaType(said, sniffed)
  if (contentType === said && said !== unknownMediaType) return null
  const category = upload.category === categoryOf(said) ? categoryOf(contentType) : upload.category
  const { size, filename } = upload
  const owner = actorOfUpload(upload)
  const policy = policyOf(context, owner)
  for (const rule of content.rules) rule({ actor: owner, policy, creation: { size, filename, contentType, category } })
  if (contentType === said) return null
  // Parts that were stored before the first one lie under the type and the key that the client named and become an object of that type, so
  // the row must not name another. Tail objects hold first bytes that passed the gate; the bytes that would replace them have not.
  if (upload.multipartId !== null || upload.tail.length > 0) {
    if (said !== unknownMediaType && sniffed.mediaType !== null)
      throw errors.typeContradictsStored({ contentType, stored: said })
    return null
  }
  const isOther = category !== upload.category || agreeingName(filename, contentType) !== agreeingName(filename, said)
  // An earlier attempt may have left an object at the key: then the key must stay, so that the clean-up finds it.
  const key = isOther && !upload.needsCleanup ? keyFor(context, upload, category, contentType) : null
  return { contentType, category, ...(key !== null && { key }) }
}

/** As `detectedTypePatch`, for a file whose bytes may be inspected too. @throws UploadError from the inspection as well */
export async function inspectedTypePatch(
  context: EngineContext,
  content: ContentCheck,
  upload: UploadRecord,
  prefix: Buffer,
  sniffed: Sniffed,
  by: Actor | null,
): Promise<UploadPatch | null> {
  const patch = detectedTypePatch(context, content, upload, prefix, sniffed)
  // A copy: code from outside must not change bytes that will be stored.
  await content.inspect?.({ upload: toUpload({ ...upload, ...patch }), by, bytes: Buffer.from(prefix) })
  return patch
}

/**
 * Whether the error says only that first bytes do not belong to what is stored. The owner may send files of their type, and other first
 * bytes, which another request may be bringing, can still fit.
 */
export function contradictsStored(error: UploadError): boolean {
  return error.facts['stored'] !== undefined
}

/**
 * Applies the type of a final upload, whose first bytes the store has already as those of its first partial upload.
 * @throws UploadError as `inspectedTypePatch`; the upload has failed then, unless the inspection itself failed
 */
export async function applyDetectedType(
  context: EngineContext,
  content: ContentCheck,
  lease: Lease,
  prefix: Buffer,
  by: Actor | null,
): Promise<void> {
  const sniffed = await content.sniff(prefix)
  let patch: UploadPatch | null
  try {
    patch = await inspectedTypePatch(context, content, lease.upload, prefix, sniffed, by)
  } catch (error) {
    if (isUploadError(error) && error.status < 500) await failUpload(lease, 'type', by)
    throw error
  }
  if (patch) await lease.save(patch)
}

/** A new key for the upload as a file of `category` and `contentType`; `null`: it keeps the name that the operator's code gave it. */
function keyFor(
  { nameObject, newId, settings }: EngineContext,
  { role, ownerId: user, createdAt, filename: sent }: UnmeasuredUpload,
  category: string,
  contentType: string,
): string | null {
  if (nameObject) return null
  const filename = agreeingName(sent, contentType)
  return makeObjectKey(settings.keyTemplate, { role, user, createdAt, category, unique: uniqueToken(newId), filename })
}
