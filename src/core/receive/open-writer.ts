import type { BackgroundTasks } from '../background.ts'
import { createPartWriter, type PartWriter, type PartWriterOptions } from '../parts/part-writer.ts'
import type { Lease } from '../ports.ts'
import type { Actor, UploadRecord } from '../upload.ts'
import { type ContentPolicy, openContentGate } from './content-gate.ts'

/** What every writer of one engine shares. */
export interface WriterContext
  extends Pick<PartWriterOptions, 'store' | 'budget' | 'cache' | 'partsInFlight'>,
    Pick<BackgroundTasks, 'runDetached'> {
  /** Absent: a file is what it is said to be. */
  contentPolicy: ContentPolicy | null
  nextTailKey(upload: UploadRecord): string
  /** When the upload is given up unless more comes. */
  nextExpiry(upload: UploadRecord): Date | null
}

/** What one body asks of its writer; not given: as the session has it. */
export type WriterDetails = Partial<
  Pick<PartWriterOptions, 'partSize' | 'size' | 'awaitsDigest' | 'canDetach' | 'onRecorded' | 'existingParts'>
>

/**
 * A writer that goes on where the lease's session stands; at the beginning of a file, behind a look at its first bytes.
 * @param by whose request this is; `null`: the server's own doing
 */
export function openPartWriter(
  lease: Lease,
  by: Actor | null,
  details: WriterDetails,
  context: WriterContext,
): PartWriter {
  const { upload } = lease
  const size = details.size === undefined ? upload.size : details.size
  const awaitsDigest = details.awaitsDigest ?? false
  const expiryPatch = () => ({ expiresAt: context.nextExpiry(upload) })
  const writer = createPartWriter({
    store: context.store,
    lease,
    budget: context.budget,
    cache: context.cache,
    partsInFlight: context.partsInFlight,
    partSize: details.partSize ?? upload.partSize,
    size,
    nextTailKey: () => context.nextTailKey(upload),
    existingParts: details.existingParts ?? new Set(),
    expiryPatch,
    awaitsDigest,
    canDetach: details.canDetach ?? false,
    onRecorded(offset, orphans) {
      if (orphans.length > 0)
        context.runDetached(context.store.remove(orphans), { uploadId: upload.id, what: 'removing replaced pieces' })
      details.onRecorded?.(offset, orphans)
    },
  })
  const isFirst = upload.prefix !== null || upload.offset === 0
  // A partial upload is no file: only what is made of it can be looked at.
  const contentPolicy = upload.concat?.kind === 'partial' ? null : context.contentPolicy
  if (!isFirst || (upload.prefix === null && !contentPolicy)) return writer
  const onRecorded = (offset: number) => details.onRecorded?.(offset, [])
  return openContentGate(writer, lease, { contentPolicy, size, awaitsDigest, by, expiryPatch, onRecorded })
}
