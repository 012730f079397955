/*
 * The first bytes of a file say what it is, and nothing of it goes to the store before they have. They may come one at a
 * time, in requests that are acknowledged each: so until they are enough, the session itself keeps them. When they are, the
 * type they show is settled in one statement with the category and the key that go with it, and they flow on. A file of a kind
 * that its owner may not send is refused, and its session has failed.
 */

import { isUploadError, type UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { agreeingName } from '../media/file-endings.ts'
import { unknownMediaType } from '../media/media-type.ts'
import { type ContentCheck, resolveMediaType, type Sniffed } from '../media/resolve.ts'
import type { PartWriter } from '../parts/part-writer.ts'
import { categoryOf, type Policy } from '../policy/policy.ts'
import type { Lease, UploadPatch } from '../ports.ts'
import { failUpload } from '../transitions/record-end.ts'
import { type Actor, actorOfUpload, type UploadRecord } from '../upload.ts'

export interface ContentPolicy {
  check: ContentCheck
  policyOf(actor: Actor): Policy
  /** A new key for the session as a file of `category` and `contentType`; `null`: it keeps the one it has. */
  keyFor(upload: UploadRecord, category: string, contentType: string): string | null
}

/**
 * What changes in a session when its first bytes show `sniffed`; `null`: nothing.
 * @throws UploadError from the rules: TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED
 */
export function applyDetectedType(
  upload: UploadRecord,
  head: Buffer,
  sniffed: Sniffed,
  policy: Policy,
  { check, keyFor }: ContentPolicy,
): UploadPatch | null {
  const said = upload.contentType
  // In no bytes there is nothing that could contradict.
  const contentType = head.length === 0 ? said : resolveMediaType(said, sniffed)
  if (contentType === said && said !== unknownMediaType) return null
  const category = upload.category === categoryOf(said) ? categoryOf(contentType) : upload.category
  const { size, filename } = upload
  for (const rule of check.rules)
    rule({ actor: actorOfUpload(upload), policy, creation: { size, filename, contentType, category } })
  if (contentType === said) return null
  // Chunks that came before the first lie under the type and the key that were said, and will be an object of that type: the session
  // says no other. Pieces are of first bytes that were looked at: what would take their place has not done so yet.
  if (upload.multipartId !== null || upload.tail.length > 0) {
    if (said !== unknownMediaType && sniffed.mediaType !== null) throw otherType(contentType, said)
    return null
  }
  const isOther = category !== upload.category || agreeingName(filename, contentType) !== agreeingName(filename, said)
  // Of another file that was sent before something may lie at the key: then the key must stay, so that it is found.
  const key = isOther && !upload.needsCleanup ? keyFor(upload, category, contentType) : null
  return { contentType, category, ...(key !== null && { key }) }
}

/** The first bytes are not of the type under which later ones were stored. */
function otherType(contentType: string, stored: string): UploadError {
  return errors.typeContradictsStored({ contentType, stored })
}

/**
 * Whether `refusal` of first bytes says only that they do not belong to what is stored. The owner may send files of their type, and
 * other first bytes, which another request may be bringing, can still fit.
 */
export function contradictsStored(error: UploadError): boolean {
  return error.facts.stored !== undefined
}

/**
 * Settles what a file is whose first bytes are in the store already, as parts of a whole that is not made yet.
 * @throws UploadError as `settleType`; the upload has failed then
 */
export async function applyDetectedTypeOfFinal(
  lease: Lease,
  head: Buffer,
  contentPolicy: ContentPolicy,
  by: Actor | null,
): Promise<void> {
  const { upload } = lease
  const sniffed = await contentPolicy.check.sniff(head)
  const policy = contentPolicy.policyOf(actorOfUpload(upload))
  let change: UploadPatch | null
  try {
    change = applyDetectedType(upload, head, sniffed, policy, contentPolicy)
  } catch (error) {
    await failUpload(lease, 'type', by)
    throw error
  }
  if (change) await lease.save(change)
}

export interface ContentGateOptions {
  /** Absent: the bytes that the session keeps flow on unseen. */
  contentPolicy: ContentPolicy | null
  size: number | null
  /** A digest must agree before a refusal is meant: what it refuses may be a mistake of the wire. */
  awaitsDigest: boolean
  /** Whose request this is; `null`: the server's own doing. */
  by: Actor | null
  expiryPatch(): UploadPatch
  onRecorded(offset: number): void
}

/** `writer`, which must be at the beginning of the file, behind a look at the first bytes. */
export function openContentGate(writer: PartWriter, lease: Lease, options: ContentGateOptions): PartWriter {
  const { upload } = lease
  const { contentPolicy, awaitsDigest, by } = options
  const most = contentPolicy?.check.sniffLength ?? 0
  const needed = Math.min(most, options.size ?? most)
  const from = upload.offset
  let position = from
  // A copy: the writer gives back the memory of what it has stored.
  let held: Buffer[] = upload.prefix ? [Buffer.from(upload.prefix)] : []
  let heldSize = upload.prefix?.length ?? 0
  /** Bytes go to the writer now; all that were held have gone. */
  let isOpen = false
  let isThrough = false
  /** A body may end while its bytes are looked at. */
  let opening: Promise<void> | null = null
  let refusal: UploadError | null = null
  let failure: unknown = null
  /** What the session said of the file before these bytes did. */
  let before: Pick<UploadRecord, 'contentType' | 'category' | 'key'> | null = null

  /** Looks at what there is and lets it flow on; once. */
  function open(): Promise<void> {
    opening ??= look().catch((error: unknown) => {
      failure = error
      throw error
    })
    return opening
  }

  async function look(): Promise<void> {
    if (contentPolicy) await settle(Buffer.concat(held).subarray(0, most), contentPolicy)
    if (refusal) return awaitsDigest ? undefined : Promise.reject(refusal as Error)
    isOpen = true
    for (const chunk of held.splice(0)) await writer.take(chunk)
    isThrough = true
  }

  async function settle(head: Buffer, how: ContentPolicy): Promise<void> {
    const sniffed = await how.check.sniff(head)
    const policy = how.policyOf(actorOfUpload(upload))
    let change: UploadPatch | null = null
    try {
      change = applyDetectedType(upload, head, sniffed, policy, how)
    } catch (error) {
      if (!isUploadError(error)) throw error
      refusal = error
    }
    if (!change) return
    const { contentType, category, key } = upload
    before = { contentType, category, key }
    await lease.save(change)
  }

  async function refuse(rejected: UploadError): Promise<never> {
    await writer.discard()
    await failUpload(lease, 'type', by)
    throw rejected
  }

  /** Keeps in the session what is not enough yet. */
  async function keep(): Promise<void> {
    await writer.flush()
    const head = Buffer.concat(held).subarray(0, most)
    if (head.length > (upload.prefix?.length ?? 0)) {
      await lease.save({ ...options.expiryPatch(), prefix: head, offset: head.length, release: true })
      options.onRecorded(head.length)
    }
    if (failure) throw failure
  }

  return {
    get position() {
      return position
    },
    take(chunk) {
      position += chunk.length
      if (isThrough) return writer.take(chunk)
      if (opening && !refusal) return opening.then(() => writer.take(chunk) ?? undefined)
      // Read to its end all the same: only then a digest can tell.
      if (refusal) return null
      held.push(chunk)
      heldSize += chunk.length
      return heldSize < needed ? null : open()
    },
    async flush() {
      await opening?.catch(() => {})
      if (refusal) await refuse(refusal)
      await (isOpen ? writer.flush() : keep())
    },
    async close() {
      await open().catch(() => {})
      if (refusal) await refuse(refusal)
      if (isOpen) return writer.close()
      await keep()
      return null
    },
    replacedKeys: () => writer.replacedKeys(),
    hasMultipart: () => writer.hasMultipart(),
    async discard() {
      await opening?.catch(() => {})
      held = []
      const orphans = await writer.discard()
      // What does not count says nothing of the file. A key under which something lies must stay to be found.
      if (before && upload.offset === from)
        await lease.save(writer.hasMultipart() ? { ...before, key: upload.key } : before)
      return orphans
    },
  }
}
