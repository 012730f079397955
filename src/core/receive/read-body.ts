import type { Readable } from 'node:stream'
import type { BodySlot } from '../body/body-gate.ts'
import { type BodyEnd, receiveBody } from '../body/receive-body.ts'
import { type EngineContext, paceOf } from '../engine-context.ts'
import { UploadError } from '../errors/error.ts'
import { errors } from '../errors/errors.ts'
import { isMeasured, type UnmeasuredUpload } from '../upload.ts'

/** One body of a request, and where its bytes go. */
export interface IncomingBody {
  stream: Readable
  /** Bytes that may be taken. */
  limit: number
  /** `null`: the body is appended, under the lease. */
  partNumber: number | null
  /** The place of the body among all that this server reads at once. */
  slot: BodySlot
  /** The signal of the lease; not given: the body is read without one. */
  signal?: AbortSignal
  /** Takes a chunk. A promise makes the reading pause; its rejection is thrown by `readIncoming`. */
  take(chunk: Buffer): Promise<void> | null
}

/** How a body ended, and the error for a request whose body was not read to its end. */
export interface BodyResult {
  end: BodyEnd
  /** Why the server stopped reading; `null` unless `end` is `cancelled`. */
  cancelledBy: UploadError | null
}

/**
 * Reads a body until it ends, until `limit` bytes have been taken, or until something asks it to stop: the lease, the body gate, a newer
 * request for the same part, the end of the upload, or the end of this server. Registers it among the active bodies meanwhile.
 * @throws the rejection of `take`, of bodies of parts
 */
export async function readIncoming(
  context: EngineContext,
  upload: UnmeasuredUpload,
  { stream, limit, partNumber, slot, signal, take }: IncomingBody,
): Promise<BodyResult> {
  const { bodies, settings } = context
  const stop = new AbortController()
  const body = { uploadId: upload.id, partNumber, stop, lastByteAt: performance.now() }
  const onEvicted = () => stop.abort(slot.signal.reason)
  const onLease = () => stop.abort(signal?.reason)
  slot.signal.addEventListener('abort', onEvicted, { once: true })
  signal?.addEventListener('abort', onLease, { once: true })
  if (slot.signal.aborted) onEvicted()
  // The server may have begun to stop while this request waited for the lease.
  if (bodies.draining.signal.aborted) stop.abort(errors.shuttingDown())
  if (signal?.aborted) onLease()
  bodies.all.add(body)
  try {
    const end = await receiveBody(stream, {
      limit,
      idleMs: settings.bodyIdleMs,
      minSpeed: settings.minSpeed,
      totalMs: settings.bodyTotalMs,
      signal: stop.signal,
      pace: paceOf(context, upload),
      slot,
      take(chunk) {
        body.lastByteAt = performance.now()
        return take(chunk)
      },
    })
    return { end, cancelledBy: end === 'cancelled' ? await causeOf(stop.signal, upload) : null }
  } finally {
    bodies.all.delete(body)
    slot.signal.removeEventListener('abort', onEvicted)
    signal?.removeEventListener('abort', onLease)
  }
}

/** Ends older requests for the same part: see `uploadPart`. */
export function cancelOlderParts({ bodies }: EngineContext, uploadId: string, number: number): void {
  const older = [...bodies.all].filter((body) => body.uploadId === uploadId && body.partNumber === number)
  const now = performance.now()
  for (const [at, { stop, lastByteAt }] of older.entries())
    if (at < older.length - 1 || now - lastByteAt > stalledMs) stop.abort(errors.partSuperseded({ number }))
}

// A live connection brings bytes within this time.
const stalledMs = 500

/** A body is cancelled with its error, with a promise of it, or by the lease, whose holder was asked to stop or has lost it. */
async function causeOf(signal: AbortSignal, upload: UnmeasuredUpload): Promise<UploadError> {
  const reason: unknown = await signal.reason
  return reason instanceof UploadError ? reason : errors.takenOver(isMeasured(upload) ? { offset: upload.offset } : {})
}
