import { isUploadError } from '../../../src/core/errors/error.ts'
import { hasEnded, type Upload } from '../../../src/core/upload.ts'
import { bodyOf } from '../../support/open-engine.ts'
import type { Node } from './faulty-node.ts'
import { checkAgainstModel, checkPart, type KnownUpload, Violation } from './known-upload.ts'
import { run } from './run.ts'
import type { World } from './world.ts'

// Enough for other requests to end, or for the leases of nodes that died to run out.
const attempts = 12

/**
 * Acts as a client that wants its file to arrive, while no faults are injected: reads the offset, sends the missing bytes and completes
 * the upload.
 * @throws Violation when the upload does not reach an end that the model allows
 */
export async function bringToEnd(world: World, node: Node, known: KnownUpload): Promise<void> {
  for (const partial of known.partials) await bringToEnd(world, node, partial)
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { state, lossSeenAt } = (await world.repository.find(known.id))!
    if (lossSeenAt) world.passLossConfirmation()
    if (hasEnded({ state }) || (await step(world, node, known))) return
  }
  throw new Violation(`${known.name} does not come to an end`)
}

/** Resolves with whether the upload has ended. */
async function step(world: World, node: Node, known: KnownUpload): Promise<boolean> {
  const { id, file, creation, partSize } = known
  const ask = <T>(operation: Omit<Parameters<typeof run<T>>[3], 'node'>) =>
    run<T>(world, world.random, known, { ...operation, node })
  const askStatus = (what: string, work: (engine: Node['engine']) => Promise<Upload>) =>
    ask<Upload>({ what, work, check: (upload, was) => checkAgainstModel(known, upload, was, world) })
  const isOver = (outcome: Awaited<ReturnType<typeof askStatus>>) =>
    outcome !== null &&
    ('answer' in outcome
      ? outcome.answer.state === 'completed'
      : isUploadError(outcome.error, 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST', 'TYPE_NOT_ALLOWED'))

  const at = await askStatus('read', (engine) => engine.status(world.user, id, 'later'))
  if (isOver(at)) return giveUp(world, node, known)
  if (!at || !('answer' in at)) return false
  if (creation.kind === 'final') return false
  const { offset } = at.answer
  if (creation.kind === 'parted') {
    const stored = new Set((await node.engine.listParts(world.user, id)).parts.map(({ number }) => number))
    for (let number = 1; (number - 1) * partSize < file.length; number += 1) {
      const bytes = file.subarray((number - 1) * partSize, number * partSize)
      if (stored.has(number)) continue
      const outcome = await ask({
        what: `part ${number}`,
        work: (engine) => engine.uploadPart(world.user, id, { number, body: bodyOf(bytes), bodySize: bytes.length }),
        check: (written, was) => checkPart(known, number, written, was),
      })
      // The first bytes of this file are of a forbidden type. Other bytes, appended earlier, were of an allowed one.
      if (outcome && 'error' in outcome && outcome.error.code === 'TYPE_NOT_ALLOWED') return giveUp(world, node, known)
    }
    return isOver(await askStatus('complete', (engine) => engine.complete(world.user, id)))
  }
  const rest = file.subarray(offset)
  const append = { offset, body: bodyOf(rest), bodySize: rest.length, ending: 'at-size' as const, size: file.length }
  if (isOver(await askStatus(`append ${offset}+${rest.length}`, (engine) => engine.append(world.user, id, append))))
    return true
  return isOver(await askStatus('complete', (engine) => engine.complete(world.user, id)))
}

/** Cancels an upload that cannot complete, such as a final upload whose partial ones are gone, unless it has ended or expired. */
async function giveUp(world: World, node: Node, known: KnownUpload): Promise<boolean> {
  const upload = (await world.repository.find(known.id))!
  if (hasEnded(upload) || upload.expiresAt === null || upload.expiresAt <= world.now()) return true
  known.isCancelled = true
  await run(world, world.random, known, {
    what: 'cancel',
    work: (engine) => engine.cancel(world.user, known.id),
    node,
  })
  return true
}
