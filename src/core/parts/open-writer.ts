import type { Background } from '../background.ts'
import { type Looking, lookFirst } from '../content/first-bytes.ts'
import type { Lease } from '../ports.ts'
import type { Actor, Session } from '../upload.ts'
import { createPartWriter, type PartWriter, type PartWriting } from './part-writer.ts'

/** What every writer of one engine shares. */
export interface WriterGround
  extends Pick<PartWriting, 'store' | 'budget' | 'cache' | 'partsInFlight'>,
    Pick<Background, 'later'> {
  /** Absent: a file is what it is said to be. */
  looking: Looking | null
  nextPieceKey(session: Session): string
  /** When the upload is given up unless more comes. */
  lifeAfter(session: Session): Date | null
}

/** What one body asks of its writer; not given: as the session has it. */
export type WriterDetails = Partial<
  Pick<PartWriting, 'partSize' | 'size' | 'isHeldBack' | 'ownsChunks' | 'onRecorded' | 'overwrites'>
>

/**
 * A writer that goes on where the lease's session stands; at the beginning of a file, behind a look at its first bytes.
 * @param by whose request this is; `null`: the server's own doing
 */
export function openWriter(lease: Lease, by: Actor | null, details: WriterDetails, ground: WriterGround): PartWriter {
  const { session } = lease
  const size = details.size === undefined ? session.size : details.size
  const isHeldBack = details.isHeldBack ?? false
  const touch = () => ({ expiresAt: ground.lifeAfter(session) })
  const writer = createPartWriter({
    store: ground.store,
    lease,
    budget: ground.budget,
    cache: ground.cache,
    partsInFlight: ground.partsInFlight,
    partSize: details.partSize ?? session.partSize,
    size,
    nextPieceKey: () => ground.nextPieceKey(session),
    overwrites: details.overwrites ?? new Set(),
    touch,
    isHeldBack,
    ownsChunks: details.ownsChunks ?? false,
    onRecorded(offset, litter) {
      if (litter.length > 0)
        ground.later(ground.store.remove(litter), { uploadId: session.id, what: 'removing replaced pieces' })
      details.onRecorded?.(offset, litter)
    },
  })
  const isFirst = session.head !== null || session.offset === 0
  // A partial upload is no file: only what is made of it can be looked at.
  const looking = session.concat?.kind === 'partial' ? null : ground.looking
  if (!isFirst || (session.head === null && !looking)) return writer
  const onRecorded = (offset: number) => details.onRecorded?.(offset, [])
  return lookFirst(writer, lease, { looking, size, isHeldBack, by, touch, onRecorded })
}
