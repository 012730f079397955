import { isUploadError } from '../errors/error.ts'
import type { Lease, UploadRepository } from '../ports.ts'
import { failUpload } from '../transitions/record-end.ts'
import { type Actor, actorOfUpload, type UploadRecord } from '../upload.ts'
import { applyDetectedType, type ContentPolicy, contradictsStored } from './content-gate.ts'

/** A look at the first of several numbered chunks, before any of it is stored. */
export interface PartGate {
  /** Bytes that are looked at, at most. */
  readonly size: number
  /** What the file was found to be; to be read when it is settled. */
  readonly contentType: string
  observe(bytes: Buffer): void
  /**
   * Settles what the file is by what was seen; once, however often it is asked.
   * @throws UploadError TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED, INVALID_METADATA (the stored name): the upload has failed, unless other first bytes
   * were there, or others were stored under the type that it has
   */
  resolve(): Promise<void>
}

/**
 * A look at the first chunk of `found`, a session that nobody holds. `hold` gives a lease of it, for what has to be written.
 * Who stores the chunk afterwards makes sure that the session still says `contentType`: somebody may have brought other bytes.
 */
export function createPartGate(
  found: UploadRecord,
  contentPolicy: ContentPolicy,
  uploads: UploadRepository,
  by: Actor,
  hold: (work: (lease: Lease) => Promise<void>) => Promise<void>,
): PartGate {
  const size = contentPolicy.check.sniffLength
  const seen: Buffer[] = []
  let seenSize = 0
  let contentType = found.contentType
  let settling: Promise<void> | null = null

  async function settle(): Promise<void> {
    const head = Buffer.concat(seen).subarray(0, size)
    const sniffed = await contentPolicy.check.sniff(head)
    const settled = (upload: UploadRecord) =>
      applyDetectedType(upload, head, sniffed, contentPolicy.policyOf(actorOfUpload(upload)), contentPolicy)
    // Mostly it is what was said, and nobody needs to be disturbed.
    if (isSettled(() => settled(found))) return
    await hold(async (lease) => {
      try {
        const change = settled(lease.upload)
        if (change) await lease.save(change)
        contentType = lease.upload.contentType
      } catch (error) {
        if (!isUploadError(error, 'TYPE_NOT_ALLOWED', 'CATEGORY_NOT_ALLOWED', 'INVALID_METADATA')) throw error
        if (!contradictsStored(error) && !(await isBegun(lease.upload))) await failUpload(lease, 'type', by)
        throw error
      }
    })
  }

  /**
   * Whether other first bytes were acknowledged, or are being stored by another request. They may be those of a good file, which the
   * refusal of these must not end; and a part that is being written again has no receipt while it is.
   */
  async function isBegun({ id, offset }: UploadRecord): Promise<boolean> {
    if (offset > 0 || (await uploads.countPartLocks(id, 1)) > 0) return true
    return (await uploads.parts(id)).some(({ number }) => number === 1)
  }

  return {
    size,
    get contentType() {
      return contentType
    },
    observe(bytes) {
      if (seenSize >= size) return
      seen.push(bytes)
      seenSize += bytes.length
    },
    resolve() {
      settling ??= settle()
      return settling
    },
  }
}

function isSettled(change: () => object | null): boolean {
  try {
    return change() === null
  } catch {
    return false
  }
}
