import { assertPartialsReady, isAwaitingPartials } from '../concatenation/final-uploads.ts'
import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import type { Lease } from '../lease.ts'
import { assertNoPartLocks } from '../parts/part-locks.ts'
import { findUpload } from '../read/find-upload.ts'
import { assertSameParts } from '../receive/lengths.ts'
import type { ListedPart } from '../receive/requests.ts'
import { beginFinishing } from '../transitions/begin-finishing.ts'
import { type Actor, tailSize, type Upload } from '../upload.ts'
import { assertActive, isConcatenated, toUpload } from '../upload-state.ts'
import { awaitCompletion } from './await-completion.ts'
import { type Recorded, recordThenFinish } from './record-then-finish.ts'
import { statusOfFinal } from './status-of-final.ts'

/** Completes an upload whose bytes are all stored, when its client says so: see `Engine.complete`. */
export async function complete(
  context: EngineContext,
  actor: Actor,
  id: string,
  listed?: ListedPart[],
): Promise<Upload> {
  const { leases, authorization } = context
  const record = await findUpload(context, actor, id, 'complete')
  assertActive(record, context.now())
  if (isAwaitingPartials(record)) {
    const upload = await statusOfFinal(context, actor, record)
    if (upload.state !== 'completed') throw errors.partialsNotReady()
    return upload
  }
  if (record.state === 'receiving')
    return recordThenFinish(context, actor, {
      id,
      action: 'complete',
      withLease: (work) => leases.withLease(id, authorization.ownerCheck(actor, 'complete'), work),
      record: (lease) => closeForBytes(context, actor, lease, listed),
    })
  return record.state === 'completed' || isConcatenated(record) ? toUpload(record) : awaitCompletion(context, id, actor)
}

/** Completes an upload of which every byte is recorded, for an admin: see `Engine.completeAsAdmin`. */
export async function completeAsAdmin(context: EngineContext, actor: Actor, id: string): Promise<void> {
  const upload = await findUpload(context, actor, id, 'finish')
  assertActive(upload, context.now())
  if (isAwaitingPartials(upload)) await assertPartialsReady(context, upload)
  if (upload.state !== 'completed') await awaitCompletion(context, id, actor, 'finish')
}

/** Moves an upload of which every byte is stored to `finishing`: it takes no bytes any more. */
async function closeForBytes(
  context: EngineContext,
  actor: Actor,
  lease: Lease,
  listed: ListedPart[] | undefined,
): Promise<Recorded> {
  const { authorization, uploads, now } = context
  const { upload } = lease
  assertActive(upload, now())
  if (upload.state !== 'receiving') return { upload, parts: null }
  await authorization.authorize(actor, 'complete', upload)
  await assertNoPartLocks(context, lease)
  const parts = listed ? await uploads.parts(upload.id) : null
  if (listed) assertSameParts(listed, parts ?? [])
  const size = upload.size ?? upload.offset
  if (upload.offset !== size) throw errors.bytesMissing({ offset: upload.offset, size })
  const hasTail = tailSize(upload) > 0
  // A request that waits for the upload gets it before the store makes the object, which may take long.
  await beginFinishing(lease, { offset: size, size, release: lease.signal.aborted })
  return { upload, parts: hasTail ? null : parts }
}
