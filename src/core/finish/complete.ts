import { assertPartialsReady, isAwaitingPartials } from '../concatenation/final-uploads.ts'
import type { EngineContext } from '../engine-context.ts'
import { errors } from '../errors/errors.ts'
import { assertNoPartLocks } from '../parts/part-locks.ts'
import { findUpload } from '../read/find-upload.ts'
import { assertSameParts } from '../receive/lengths.ts'
import type { ListedPart } from '../receive/requests.ts'
import { beginFinishing } from '../transitions/begin-finishing.ts'
import type { Actor, Upload } from '../upload.ts'
import { assertActive, isConcatenated, toUpload } from '../upload-state.ts'
import { awaitCompletion } from './await-completion.ts'
import { statusOfFinal } from './status-of-final.ts'

/** Completes an upload whose bytes are all stored, when its client says so: see `Engine.complete`. */
export async function complete(
  context: EngineContext,
  actor: Actor,
  id: string,
  listed?: ListedPart[],
): Promise<Upload> {
  const record = await findUpload(context, actor, id, 'complete')
  assertActive(record, context.now())
  if (isAwaitingPartials(record)) {
    const upload = await statusOfFinal(context, actor, record)
    if (upload.state !== 'completed') throw errors.partialsNotReady()
    return upload
  }
  if (record.state === 'receiving') await closeForBytes(context, actor, id, listed)
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
async function closeForBytes(context: EngineContext, actor: Actor, id: string, listed?: ListedPart[]): Promise<void> {
  const { leases, authorization, uploads, now } = context
  await leases.withLease(id, authorization.ownerCheck(actor, 'complete'), async (lease) => {
    const { upload } = lease
    assertActive(upload, now())
    if (upload.state !== 'receiving') return
    await authorization.authorize(actor, 'complete', upload)
    await assertNoPartLocks(context, lease)
    if (listed) assertSameParts(listed, await uploads.parts(id))
    const size = upload.size ?? upload.offset
    if (upload.offset !== size) throw errors.bytesMissing({ offset: upload.offset, size })
    await beginFinishing(lease, { offset: size, size, release: true })
  })
}
