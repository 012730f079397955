import { isRefusal } from '../errors.ts'
import { recordFailure } from '../finish/record-end.ts'
import type { Lease, Sessions } from '../ports.ts'
import { type Actor, ownerOf, type Session } from '../upload.ts'
import { contradictsStored, type Looking, settleType } from './first-bytes.ts'

/** A look at the first of several numbered chunks, before any of it is stored. */
export interface ChunkLook {
  /** Bytes that are looked at, at most. */
  readonly size: number
  /** What the file was found to be; to be read when it is settled. */
  readonly contentType: string
  see(bytes: Buffer): void
  /**
   * Settles what the file is by what was seen; once, however often it is asked.
   * @throws UploadError TYPE_NOT_ALLOWED, CATEGORY_NOT_ALLOWED, INVALID_METADATA (the stored name): the upload has failed, unless other first bytes
   * were there, or others were stored under the type that it has
   */
  settle(): Promise<void>
}

/**
 * A look at the first chunk of `found`, a session that nobody holds. `hold` gives a lease of it, for what has to be written.
 * Who stores the chunk afterwards makes sure that the session still says `contentType`: somebody may have brought other bytes.
 */
export function lookAtChunk(
  found: Session,
  looking: Looking,
  sessions: Sessions,
  by: Actor,
  hold: (work: (lease: Lease) => Promise<void>) => Promise<void>,
): ChunkLook {
  const size = looking.check.headSize
  const seen: Buffer[] = []
  let seenSize = 0
  let contentType = found.contentType
  let settling: Promise<void> | null = null

  async function settle(): Promise<void> {
    const head = Buffer.concat(seen).subarray(0, size)
    const sniffed = await looking.check.sniff(head)
    const settled = (session: Session) =>
      settleType(session, head, sniffed, looking.policyOf(ownerOf(session)), looking)
    // Mostly it is what was said, and nobody needs to be disturbed.
    if (isSettled(() => settled(found))) return
    await hold(async (lease) => {
      try {
        const change = settled(lease.session)
        if (change) await lease.save(change)
        contentType = lease.session.contentType
      } catch (error) {
        if (!isRefusal(error, 'TYPE_NOT_ALLOWED', 'CATEGORY_NOT_ALLOWED', 'INVALID_METADATA')) throw error
        if (!contradictsStored(error) && !(await isBegun(lease.session))) await recordFailure(lease, 'type', by)
        throw error
      }
    })
  }

  /**
   * Whether other first bytes were acknowledged, or are being stored by another request. They may be those of a good file, which the
   * refusal of these must not end; and a part that is being written again has no receipt while it is.
   */
  async function isBegun({ id, offset }: Session): Promise<boolean> {
    if (offset > 0 || (await sessions.claims(id, 1)) > 0) return true
    return (await sessions.parts(id)).some(({ number }) => number === 1)
  }

  return {
    size,
    get contentType() {
      return contentType
    },
    see(bytes) {
      if (seenSize >= size) return
      seen.push(bytes)
      seenSize += bytes.length
    },
    settle() {
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
