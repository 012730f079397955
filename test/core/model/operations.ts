import type { AppendRequest, Digest } from '../../../src/core/engine.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import type { Upload } from '../../../src/core/upload.ts'
import { bodyOf, brokenBody, hungBody } from '../../support/open-engine.ts'
import type { Seeded } from '../../support/seeded.ts'
import { checkAgainstModel, checkPart, checkParts, type KnownUpload, Violation } from './known-upload.ts'
import { run } from './run.ts'
import type { World } from './world.ts'

type Operation = (world: World, random: Seeded, known: KnownUpload) => Promise<unknown>

/** What anybody may do to one upload, by how often it is done. */
const operations: [number, Operation][] = [
  [30, append],
  [30, chunk],
  [8, complete],
  [8, describe],
  [3, peek],
  [6, chunks],
  [1.5, cancel],
  [0.7, expireNow],
  [3, finishNow],
]

export function operationOn(random: Seeded): Operation {
  let at = random.next() * operations.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, operation] of operations) {
    at -= weight
    if (at < 0) return operation
  }
  return describe
}

const checksumMismatch = () => new UploadError('CHECKSUM_MISMATCH', 'These are not the bytes.')
const goodDigest = (random: Seeded): Digest => ({
  update() {},
  verify() {},
  ...(random.chance(0.3) ? { acceptsPartialBody: true } : {}),
})
const badDigest = (): Digest => ({
  update() {},
  verify() {
    throw checksumMismatch()
  },
})

async function append(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const { file, id, wish: creation } = known
  const at = await run<Upload>(world, random, known, {
    what: 'peek',
    work: (engine) => engine.get(world.user, id),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
  })
  if (!at || !('answer' in at)) return
  const offset = random.chance(0.05) ? random.int(0, file.length) : at.answer.offset
  const ending = random.pick(['at-size', 'at-size', 'with-body', 'later'] as const)
  const rest = file.subarray(offset)
  const length = ending === 'with-body' ? rest.length : random.pick([1, 5, 10, 15, 30, rest.length])
  const honest = rest.subarray(0, length)
  const fate = random.pick(['whole', 'whole', 'whole', 'whole', 'broken', 'hung', 'overflow', 'spoiled'] as const)
  // Of a file whose length is unknown nobody can send too much.
  const isOver = fate === 'overflow' && (creation.size !== null || at.answer.size !== null)
  const isSpoiled = fate === 'spoiled'
  const bytes = isSpoiled ? random.bytes(honest.length) : isOver ? Buffer.concat([rest, random.bytes(7)]) : honest
  const isCut = fate === 'broken' || fate === 'hung'
  const sent = isCut ? bytes.subarray(0, random.int(0, bytes.length)) : bytes
  const body = fate === 'broken' ? brokenBody(sent) : fate === 'hung' ? hungBody(sent) : bodyOf(split(sent, random))
  const tellsSize = random.chance(0.3) || offset + honest.length === file.length
  const what: AppendRequest = {
    offset,
    body,
    bodySize: isOver || random.chance(0.3) ? null : bytes.length,
    ending: isOver && ending === 'with-body' ? 'at-size' : ending,
    ...(tellsSize ? { size: file.length } : {}),
    ...(isSpoiled ? { digest: badDigest() } : random.chance(0.25) ? { digest: goodDigest(random) } : {}),
  }
  known.isSpoiled ||= isSpoiled
  known.appends += 1
  known.appending += 1
  if (creation.hasNumberedParts) {
    known.offset = Math.min(known.offset, offset)
    const from = Math.floor(offset / known.partSize) + 1
    for (const number of known.receipts.keys()) if (number >= from) known.receipts.delete(number)
  }
  await run<Upload>(world, random, known, {
    what: `append ${offset}+${bytes.length} ${fate} (${sent.length}) ${what.ending}${what.digest ? ' digest' : ''}${what.size === undefined ? '' : ' size'}`,
    work: (engine) => engine.append(world.user, id, what),
    check(upload, was) {
      if (isSpoiled && sent.length > 0 && upload.state === 'receiving') throw new Violation('what was refused counts')
      checkAgainstModel(known, upload, was, world)
    },
    expected: ['CHECKSUM_MISMATCH', 'FORBIDDEN'],
  })
  known.appending -= 1
}

async function chunk(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const { file, id, partSize, wish: creation } = known
  const count = Math.ceil(file.length / partSize)
  if (!creation.hasNumberedParts || count === 0) return append(world, random, known)
  const missing = Array.from({ length: count }, (_, index) => index + 1).filter((number) => !known.receipts.has(number))
  const number = missing.length > 0 && random.chance(0.8) ? random.pick(missing) : random.int(1, count)
  const honest = file.subarray((number - 1) * partSize, number * partSize)
  const fate = random.pick(['whole', 'whole', 'whole', 'whole', 'whole', 'broken', 'hung', 'spoiled'] as const)
  const isCut = fate === 'broken' || fate === 'hung'
  const bytes = fate === 'spoiled' ? random.bytes(honest.length) : honest
  const sent = isCut ? bytes.subarray(0, random.int(0, bytes.length - 1)) : bytes
  const body = fate === 'broken' ? brokenBody(sent) : fate === 'hung' ? hungBody(sent) : bodyOf(split(sent, random))
  const digest = fate === 'spoiled' ? badDigest() : random.chance(0.2) ? goodDigest(random) : undefined
  await run(world, random, known, {
    what: `chunk ${number} ${fate}`,
    work: (engine) =>
      engine.uploadPart(world.user, id, { number, body, bodySize: random.chance(0.5) ? honest.length : null, digest }),
    check(written, was) {
      if (fate !== 'whole') throw new Violation(`a ${fate} chunk was taken`)
      checkPart(known, number, written, was)
    },
    expected: ['INVALID_REQUEST', 'CHECKSUM_MISMATCH'],
  })
}

async function complete(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const { id, wish: creation, file } = known
  // Whoever says that a file of unknown length is whole before it is has another file.
  if (creation.size === null && creation.concat?.kind !== 'final' && known.offset < file.length) return
  const isWrong = random.chance(0.15)
  const list = [...known.receipts].map(([number, etag]) => ({ number, etag: isWrong ? 'wrong' : etag }))
  const expected = known.wish.hasNumberedParts && random.chance(0.3) ? list : undefined
  await run<Upload>(world, random, known, {
    what: expected ? `complete ${expected.length}${isWrong ? ' wrong' : ''}` : 'complete',
    work: (engine) => engine.complete(world.user, id, expected),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
    expected: expected ? ['INVALID_FIELD'] : [],
  })
}

async function describe(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const ending = random.pick(['at-size', 'later'] as const)
  await run<Upload>(world, random, known, {
    what: `describe ${ending}`,
    work: (engine) => engine.status(world.user, known.id, ending),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
  })
}

async function peek(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  await run<Upload>(world, random, known, {
    what: 'peek',
    work: (engine) => engine.get(world.user, known.id),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
  })
}

async function chunks(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  await run(world, random, known, {
    what: 'chunks',
    work: (engine) => engine.listParts(world.user, known.id),
    check: (map, was) => checkParts(known, map, was, world),
  })
}

async function cancel(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const sparesCompleted = random.chance(0.3)
  known.isCancelled = true
  await run(world, random, known, {
    what: 'cancel',
    work: (engine) => engine.cancel(world.user, known.id, { sparesCompleted }),
    check() {
      known.isOver = true
    },
  })
}

async function expireNow(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  known.isExpired = true
  await run(world, random, known, {
    what: 'expire',
    work: (engine) => engine.expireAsAdmin(world.admin, known.id),
    check() {
      known.isOver = true
    },
  })
}

async function finishNow(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  await run(world, random, known, { what: 'finish', work: (engine) => engine.completeAsAdmin(world.admin, known.id) })
}

function split(bytes: Buffer, random: Seeded): Buffer[] {
  const tailObjects: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = random.int(1, 25)
    tailObjects.push(bytes.subarray(at, at + size))
    at += size
  }
  return tailObjects
}
