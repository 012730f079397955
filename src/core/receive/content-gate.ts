/*
 * The first bytes of a file show what it is, and no byte goes to the store before they have. They may arrive one at a time, in requests
 * that are acknowledged one by one; until there are enough, the row keeps them as the upload's prefix. Then media type, category and
 * key are saved in one statement and the bytes go on to the store. A file that its owner may not send is refused, and the upload
 * has failed.
 */

import type { EngineContext } from '../engine-context.ts'
import { isUploadError, type UploadError } from '../errors/error.ts'
import type { Lease } from '../lease.ts'
import type { BodyWriter } from '../parts/body-writer.ts'
import type { ContentCheck } from '../policy/content-check.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import { failUpload } from '../transitions/fail.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { inspectedTypePatch } from './detected-type.ts'

/** What one body asks of the gate. */
export interface GateRequest {
  /** `null`: the bytes that the row keeps pass unseen. */
  content: ContentCheck | null
  size: number | null
  /** An error waits for the digest: the bytes that are rejected may be those of a transmission error. */
  awaitsDigest: boolean
  /** Whose request this is; `null`: the server's own work. */
  by: Actor | null
  expiryPatch(): UploadPatch
  onRecorded(offset: number): void
}

/** `writer`, which must be at the beginning of the file, behind the gate. */
export function openContentGate(
  context: EngineContext,
  writer: BodyWriter,
  lease: Lease,
  { content, size, awaitsDigest, by, expiryPatch, onRecorded }: GateRequest,
): BodyWriter {
  const { upload } = lease
  const sniffLength = content?.sniffLength ?? 0
  const needed = Math.min(sniffLength, size ?? sniffLength)
  const from = upload.offset
  let position = from
  // A copy: the writer gives back the memory of what it has stored.
  let waiting: Buffer[] = upload.prefix ? [Buffer.from(upload.prefix)] : []
  let waitingSize = upload.prefix?.length ?? 0
  /** `looking`: the waiting bytes are being looked at, during which the body may end; `passing`: they are being given to the writer. */
  let state: 'waiting' | 'looking' | 'passing' | 'open' | 'refused' = 'waiting'
  let opening: Promise<void> | null = null
  let typeError: UploadError | null = null
  let failure: unknown = null
  /** What the row said of the file before these bytes were looked at. */
  let before: Pick<UploadRecord, 'contentType' | 'category' | 'key'> | null = null

  /** Looks at the waiting bytes and lets them pass; once. */
  function open(): Promise<void> {
    opening ??= look().catch((error: unknown) => {
      failure = error
      throw error
    })
    return opening
  }

  async function look(): Promise<void> {
    state = 'looking'
    if (content) await detect(content, Buffer.concat(waiting).subarray(0, sniffLength))
    if (typeError) {
      state = 'refused'
      return awaitsDigest ? undefined : Promise.reject(typeError as Error)
    }
    state = 'passing'
    for (const chunk of waiting.splice(0)) await writer.take(chunk)
    state = 'open'
  }

  async function detect(check: ContentCheck, prefix: Buffer): Promise<void> {
    const sniffed = await check.sniff(prefix)
    let patch: UploadPatch | null = null
    try {
      patch = await inspectedTypePatch(context, check, upload, prefix, sniffed, by)
    } catch (error) {
      if (!isUploadError(error) || error.status >= 500) throw error
      typeError = error
    }
    if (!patch) return
    const { contentType, category, key } = upload
    before = { contentType, category, key }
    await lease.save(patch)
  }

  async function refuse(error: UploadError): Promise<never> {
    await writer.discard()
    await failUpload(lease, 'type', by)
    throw error
  }

  /** Keeps bytes that are not enough yet in the row. */
  async function keepPrefix(): Promise<void> {
    await writer.flush()
    const prefix = Buffer.concat(waiting).subarray(0, sniffLength)
    if (prefix.length > (upload.prefix?.length ?? 0)) {
      await lease.save({ ...expiryPatch(), prefix, offset: prefix.length, release: true })
      onRecorded(prefix.length)
    }
    if (failure) throw failure
  }

  const hasPassed = () => state === 'passing' || state === 'open'

  return {
    get position() {
      return position
    },
    take(chunk) {
      position += chunk.length
      if (state === 'open') return writer.take(chunk)
      // A refused body is read to its end all the same: only then its digest can be verified.
      if (typeError) return null
      if (opening) return opening.then(() => writer.take(chunk) ?? undefined)
      waiting.push(chunk)
      waitingSize += chunk.length
      return waitingSize < needed ? null : open()
    },
    async flush() {
      await opening?.catch(() => {})
      if (typeError) await refuse(typeError)
      await (hasPassed() ? writer.flush() : keepPrefix())
    },
    async close(ending) {
      await open().catch(() => {})
      if (typeError) await refuse(typeError)
      // Bytes that could not pass: `keepPrefix` throws the reason.
      if (!hasPassed()) await keepPrefix()
      return writer.close(ending)
    },
    async discard() {
      await opening?.catch(() => {})
      waiting = []
      await writer.discard()
      // A body that does not count says nothing of the file. A key under which an object may lie stays, so that the clean-up finds it.
      const hasMultipart = upload.multipartId !== null || lease.ledger.mayHaveMultipart(upload.key)
      if (before && upload.offset === from) await lease.save(hasMultipart ? { ...before, key: upload.key } : before)
    },
  }
}
