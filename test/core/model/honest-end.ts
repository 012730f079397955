import { isUploadError } from '../../../src/core/errors/error.ts'
import { hasEnded, type Upload } from '../../../src/core/upload.ts'
import { bodyOf } from '../../support/open-engine.ts'
import type { Node } from './faulty-node.ts'
import { checkAgainstModel, checkPart, type KnownUpload, Violation } from './known-upload.ts'
import { run } from './run.ts'
import type { World } from './world.ts'

// Whoever is in the way lets go, or their leases run out.
const attempts = 12

/**
 * What a client does that only wants its file to arrive, while nothing fails any more: asks how far it is, sends what is missing, says
 * that it is whole.
 * @throws Violation when that does not bring the upload to an end that it can have
 */
export async function bringToEnd(world: World, node: Node, known: KnownUpload): Promise<void> {
  for (const partial of known.partials) await bringToEnd(world, node, partial)
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { state, lossSeenAt } = (await world.sessions.find(known.id))!
    if (lossSeenAt) world.passPause()
    if (hasEnded({ state }) || (await step(world, node, known))) return
  }
  throw new Violation(`${known.name} cannot be brought to an end`)
}

/** Whether it has come to an end. */
async function step(world: World, node: Node, known: KnownUpload): Promise<boolean> {
  const { id, file, wish: creation, partSize } = known
  const put = <T>(question: Omit<Parameters<typeof run<T>>[3], 'node'>) =>
    run<T>(world, world.random, known, { ...question, node })
  const about = (what: string, work: (engine: Node['engine']) => Promise<Upload>) =>
    put<Upload>({ what, work, check: (upload, was) => checkAgainstModel(known, upload, was, world) })
  const isOver = (heard: Awaited<ReturnType<typeof about>>) =>
    heard !== null &&
    ('answer' in heard
      ? heard.answer.state === 'completed'
      : isUploadError(heard.refusal, 'UPLOAD_GONE', 'UPLOAD_EXPIRED', 'UPLOAD_LOST', 'TYPE_NOT_ALLOWED'))

  const at = await about('read', (engine) => engine.status(world.user, id, 'later'))
  if (isOver(at)) return giveUp(world, node, known)
  if (!at || !('answer' in at)) return false
  if (creation.concat?.kind === 'final') return false
  const { offset } = at.answer
  if (creation.hasNumberedParts) {
    const there = new Set((await node.engine.listParts(world.user, id)).parts.map(({ number }) => number))
    for (let number = 1; (number - 1) * partSize < file.length; number += 1) {
      const bytes = file.subarray((number - 1) * partSize, number * partSize)
      if (there.has(number)) continue
      const heard = await put({
        what: `chunk ${number}`,
        work: (engine) => engine.uploadPart(world.user, id, { number, body: bodyOf(bytes), bodySize: bytes.length }),
        check: (written, was) => checkPart(known, number, written, was),
      })
      // With first bytes that were appended before, it would go on; with this file it does not.
      if (heard && 'refusal' in heard && heard.refusal.code === 'TYPE_NOT_ALLOWED') return giveUp(world, node, known)
    }
    return isOver(await about('complete', (engine) => engine.complete(world.user, id)))
  }
  const rest = file.subarray(offset)
  const append = { offset, body: bodyOf(rest), bodySize: rest.length, ending: 'at-size' as const, size: file.length }
  if (isOver(await about(`append ${offset}+${rest.length}`, (engine) => engine.append(world.user, id, append))))
    return true
  return isOver(await about('complete', (engine) => engine.complete(world.user, id)))
}

/** What cannot become a file, as a final upload whose partial ones are gone, is cancelled unless it is over by itself. */
async function giveUp(world: World, node: Node, known: KnownUpload): Promise<boolean> {
  const upload = (await world.sessions.find(known.id))!
  if (hasEnded(upload) || upload.expiresAt === null || upload.expiresAt <= world.now()) return true
  known.isCancelled = true
  await run(world, world.random, known, {
    what: 'cancel',
    work: (engine) => engine.cancel(world.user, known.id),
    node,
  })
  return true
}
