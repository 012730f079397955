/*
 * Parts that arrive in any order and in parallel, each addressed by its number. They take no lease, or they could not arrive in parallel;
 * each takes the lock of its part instead: see parts/part-locks.
 */

import { assertNotDraining } from '../body/active-bodies.ts'
import type { BodySlot } from '../body/body-gate.ts'
import { type EngineContext, nextExpiry, senderOf } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { IncomingPart } from '../parts/incoming-part.ts'
import { createMultipart } from '../parts/multipart.ts'
import { storePart } from '../parts/part-locks.ts'
import { NoSuchKey, NoSuchUpload } from '../ports/object-store.ts'
import type { UploadPatch } from '../ports/uploads.ts'
import { nextTailKey } from '../tail-keys.ts'
import { removeObjects } from '../transitions/leftovers.ts'
import { observeLoss } from '../transitions/loss.ts'
import type { Actor, UnmeasuredUpload } from '../upload.ts'
import { assertActive, assertId } from '../upload-state.ts'
import { assertPartAccepted, sizeOfPart } from './lengths.ts'
import { createPartGate, type PartGate } from './part-gate.ts'
import { cancelOlderParts, readIncoming } from './read-body.ts'
import { assertRepeatAllowed, countRefusedBytes, countRepeatedBytes } from './repeated-bytes.ts'
import type { PartUpload, UploadedPart } from './requests.ts'

/** Stores one part; a part that is sent again replaces the stored one: see `Engine.uploadPart`. */
export async function uploadPart(
  context: EngineContext,
  actor: Actor,
  id: string,
  request: PartUpload,
): Promise<UploadedPart> {
  const { bodies } = context
  assertNotDraining(bodies)
  assertId(id)
  const slot = bodies.gate.enter(senderOf(actor))
  return receiveAndStore(context, actor, id, request, slot).finally(slot.leave)
}

async function receiveAndStore(
  context: EngineContext,
  actor: Actor,
  id: string,
  request: PartUpload,
  slot: BodySlot,
): Promise<UploadedPart> {
  const { uploads, store, leases, authorization } = context
  const { number } = request
  const found = await leases.waitForRelease(id, authorization.ownerCheck(actor, 'append'))
  await authorization.authorize(actor, 'append', found)
  assertPartAccepted(found, request, context.now())
  await assertRepeatAllowed(context, found, number)
  const expiresAt = nextExpiry(context, found)
  const gate = openPartGate(context, actor, found, request)
  const buffer = new IncomingPart({
    store,
    budget: context.memory.budget,
    cache: context.memory.tails,
    nextTailKey: () => nextTailKey(id, context.newId),
    minSpill: gate?.size ?? 0,
    async beforeSpill() {
      await gate?.resolve()
      // Nothing is stored before the row says so: the end of the upload would not search the store for it.
      while (!(await uploads.markWriting(id, expiresAt))) await waitUntilWritable(context, actor, id)
    },
  })
  let upload = found
  try {
    await receive(context, found, request, buffer, gate, slot)
    await gate?.resolve()
    // Once its multipart upload is created, an upload keeps part size, key and media type; whether it still takes parts, the part lock says.
    // Until then the first body that is appended can choose another part size.
    if (!acceptsParts(found)) upload = await openForParts(context, actor, id, { ...request, bodySize: buffer.size })
    if (gate && upload.contentType !== gate.contentType) throw errors.uploadLocked()
    const bytes = await buffer.whole()
    const part = await storePart(context, {
      id,
      number,
      bytes,
      expiresAt,
      waitUntilWritable: () => waitUntilWritable(context, actor, id),
      onRepeated: () => countRepeatedBytes(context, upload, bytes.size),
      write: () => store.uploadPart(upload.key, upload.multipartId!, number, bytes),
    })
    return { etag: part.etag, size: part.size }
  } catch (error) {
    countRefusedBytes(context, upload, buffer.size, error)
    if (error instanceof NoSuchUpload)
      return await leases.withLease(
        id,
        () => {},
        (lease) => observeMissing(context, lease, upload, error, actor),
      )
    if (error instanceof NoSuchKey) {
      // A tail object of this buffer: the clean-up of an ended upload removes them with all others.
      await waitUntilWritable(context, actor, id)
      throw errors.uploadLocked()
    }
    throw error
  } finally {
    const tailKeys = await buffer.release()
    if (tailKeys.length > 0) removeObjects(context, id, tailKeys)
  }
}

async function receive(
  context: EngineContext,
  upload: UnmeasuredUpload,
  { body: stream, digest, number }: PartUpload,
  buffer: IncomingPart,
  gate: PartGate | null,
  slot: BodySlot,
): Promise<void> {
  const size = sizeOfPart(upload, number)
  // A client that sends a part again has given up its older request, which would otherwise occupy a slot until it times out. Two that
  // bring bytes at the same time go on: both bring the same.
  cancelOlderParts(context, upload.id, number)
  let failure: unknown = null
  const { end, cancelledBy } = await readIncoming(context, upload, {
    stream,
    limit: size,
    partNumber: number,
    slot,
    take(bytes) {
      digest?.update(bytes)
      gate?.observe(bytes)
      return (
        buffer.take(bytes)?.catch((error: unknown) => {
          failure = error
          throw error
        }) ?? null
      )
    },
  })
  context.observer.onBody(end, buffer.size)
  if (failure) throw failure
  if (end === 'cancelled') throw cancelledBy!
  if (end === 'timeout') throw errors.partTimeout({ number })
  if (end === 'too-long' || (end === 'complete' && buffer.size !== size)) throw errors.wrongPartSize({ number, size })
  if (end === 'aborted') throw errors.partIncomplete({ number })
  digest?.verify()
}

/** The upload with a multipart upload created for it, so that its parts may arrive in any order. */
async function openForParts(
  context: EngineContext,
  actor: Actor,
  id: string,
  request: PartUpload,
): Promise<UnmeasuredUpload> {
  const { leases, authorization, store, now } = context
  const check = authorization.ownerCheck(actor, 'append')
  const found = await leases.waitForRelease(id, check)
  assertPartAccepted(found, request, now())
  if (acceptsParts(found)) return found
  return leases.withLease(id, check, async (lease) => {
    const { upload } = lease
    assertPartAccepted(upload, request, now())
    if (acceptsParts(upload)) return upload
    const patch: UploadPatch = { kind: 'parted', expiresAt: nextExpiry(context, upload), release: true }
    if (upload.multipartId === null) {
      patch.multipartId = await createMultipart(lease, store, upload.partSize)
    }
    await lease.save(patch)
    return upload
  })
}

/** Waits for the lease holder. @throws UploadError when the upload takes no parts any more */
async function waitUntilWritable(context: EngineContext, actor: Actor, id: string): Promise<void> {
  const { leases, authorization, now } = context
  const upload = await leases.waitForRelease(id, authorization.ownerCheck(actor, 'append'))
  assertActive(upload, now())
  if (upload.state !== 'receiving') throw errors.takesNoMoreBytes()
}

/** The store does not know the multipart upload: because the upload ended meanwhile, or because its parts were lost. */
async function observeMissing(
  context: EngineContext,
  lease: Lease,
  seen: UnmeasuredUpload,
  cause: NoSuchUpload,
  by: Actor,
): Promise<never> {
  const { upload } = lease
  assertActive(upload, context.now())
  if (upload.state !== 'receiving') throw errors.takesNoMoreBytes()
  if (upload.multipartId !== seen.multipartId) throw errors.uploadLocked()
  await observeLoss(context, lease, cause, by)
  throw errors.takesNoMoreBytes()
}

/** Only part 1 shows what the file is; a partial upload is not a file. */
function openPartGate(
  context: EngineContext,
  actor: Actor,
  upload: UnmeasuredUpload,
  request: PartUpload,
): PartGate | null {
  const { content, leases, authorization, now } = context
  if (content === null || request.number !== 1 || upload.isPartial) return null
  return createPartGate(context, content, upload, actor, (work) =>
    leases.withLease(upload.id, authorization.ownerCheck(actor, 'append'), (lease) => {
      assertPartAccepted(lease.upload, request, now())
      return work(lease)
    }),
  )
}

/** Whether parts may arrive in any order. */
function acceptsParts(upload: UnmeasuredUpload): boolean {
  return upload.multipartId !== null && upload.kind === 'parted'
}
