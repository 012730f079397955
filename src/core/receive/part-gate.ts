import type { EngineContext } from '../engine-context.ts'
import { isUploadError } from '../errors/error.ts'
import type { Lease } from '../lease.ts'
import type { ContentCheck } from '../policy/content-check.ts'
import { failUpload } from '../transitions/fail.ts'
import type { Actor, UnmeasuredUpload, UploadRecord } from '../upload.ts'
import { contradictsStored, detectedTypePatch, inspectedTypePatch } from './detected-type.ts'

/** Looks at the first part of several, before any byte of it is stored. */
export interface PartGate {
  /** Bytes that are looked at, at most. */
  readonly size: number
  /** The media type that was detected; valid once `resolve` has returned. */
  readonly contentType: string
  observe(bytes: Buffer): void
  /**
   * Saves the media type that the observed bytes show; once, however often it is called.
   * @throws UploadError TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED, INVALID_METADATA (the stored name): the upload has failed, unless other
   * first bytes were stored, or parts were stored under the type that the client named
   */
  resolve(): Promise<void>
}

/**
 * A gate for part 1 of `found`, which was read without a lease. `withLock` takes the lease, for what has to be saved. The caller checks
 * before it stores the part that the row still says `contentType`: another request may have brought other first bytes.
 */
export function createPartGate(
  context: EngineContext,
  content: ContentCheck,
  found: UnmeasuredUpload,
  by: Actor,
  withLock: (work: (lease: Lease) => Promise<void>) => Promise<void>,
): PartGate {
  const { uploads } = context
  const size = content.sniffLength
  const observed: Buffer[] = []
  let observedSize = 0
  let contentType = found.contentType
  let resolving: Promise<void> | null = null

  async function resolve(): Promise<void> {
    const prefix = Buffer.concat(observed).subarray(0, size)
    const sniffed = await content.sniff(prefix)
    const patchOf = (upload: UnmeasuredUpload) => detectedTypePatch(context, content, upload, prefix, sniffed)
    // Mostly the client named the right type, and no lease has to be taken.
    if (!content.inspect && isUnchanged(() => patchOf(found))) return
    await withLock(async (lease) => {
      try {
        const patch = await inspectedTypePatch(context, content, lease.upload, prefix, sniffed, by)
        if (patch) await lease.save(patch)
        contentType = lease.upload.contentType
      } catch (error) {
        if (!isUploadError(error, 'TYPE_NOT_ALLOWED', 'CATEGORY_NOT_ALLOWED', 'INVALID_METADATA')) throw error
        if (!contradictsStored(error) && !(await hasFirstBytes(lease.upload))) await failUpload(lease, 'type', by)
        throw error
      }
    })
  }

  /**
   * Whether other first bytes were acknowledged, or are being stored by another request. They may be those of a good file, which the
   * rejection of these must not end; and a part that is being replaced is not listed meanwhile.
   */
  async function hasFirstBytes({ id, offset }: UploadRecord): Promise<boolean> {
    if (offset > 0 || (await uploads.isPartLocked(id, 1))) return true
    return (await uploads.parts(id)).some(({ number }) => number === 1)
  }

  return {
    size,
    get contentType() {
      return contentType
    },
    observe(bytes) {
      if (observedSize >= size) return
      observed.push(bytes)
      observedSize += bytes.length
    },
    resolve() {
      resolving ??= resolve()
      return resolving
    },
  }
}

function isUnchanged(patch: () => object | null): boolean {
  try {
    return patch() === null
  } catch {
    return false
  }
}
