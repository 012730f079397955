import { type EngineContext, nextExpiry } from '../engine-context.ts'
import type { Lease } from '../lease.ts'
import type { BodyWriter } from '../parts/body-writer.ts'
import { PartWriter } from '../parts/part-writer.ts'
import type { PartWriterOptions } from '../parts/part-writer-options.ts'
import { nextTailKey } from '../tail-keys.ts'
import { removeDropped } from '../transitions/leftovers.ts'
import type { Actor } from '../upload.ts'
import { ContentGate } from './content-gate.ts'

/** What one body asks of its writer; not given: as the row has it. */
export type WriterRequest = Partial<
  Pick<PartWriterOptions, 'partSize' | 'size' | 'awaitsDigest' | 'canDetach' | 'onRecorded' | 'existingParts'>
>

/**
 * A writer that continues at the offset of the lease's upload; at the beginning of a file, behind the content gate.
 * @param by whose request this is; `null`: the server's own work
 */
export function openPartWriter(
  context: EngineContext,
  lease: Lease,
  by: Actor | null,
  request: WriterRequest = {},
): BodyWriter {
  const { upload } = lease
  const size = request.size === undefined ? upload.size : request.size
  const awaitsDigest = request.awaitsDigest ?? false
  const expiryPatch = () => ({ expiresAt: nextExpiry(context, upload) })
  const writer = new PartWriter({
    store: context.store,
    lease,
    budget: context.memory.budget,
    cache: context.memory.tails,
    partsInFlight: context.settings.partsInFlight,
    partSize: request.partSize ?? upload.partSize,
    size,
    nextTailKey: () => nextTailKey(upload.id, context.newId),
    existingParts: request.existingParts ?? new Set(),
    expiryPatch,
    awaitsDigest,
    canDetach: request.canDetach ?? false,
    onRecorded(offset) {
      removeDropped(context, lease)
      request.onRecorded?.(offset)
    },
  })
  const isFirst = upload.prefix !== null || upload.offset === 0
  // A partial upload is not a file: only the final upload that is made of it can be looked at.
  const content = upload.isPartial ? null : context.content
  if (!isFirst || (upload.prefix === null && !content)) return writer
  const onRecorded = (offset: number) => request.onRecorded?.(offset)
  return new ContentGate(context, writer, lease, { content, size, awaitsDigest, by, expiryPatch, onRecorded })
}
