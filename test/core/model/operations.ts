import type { AppendRequest, Digest } from '../../../src/core/engine.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import type { Upload } from '../../../src/core/upload.ts'
import { bodyOf, brokenBody, hungBody } from '../../support/open-engine.ts'
import type { Seeded } from '../../support/seeded.ts'
import { checkAgainstModel, checkPart, checkParts, type KnownUpload, Violation } from './known-upload.ts'
import { run } from './run.ts'
import type { World } from './world.ts'

type Operation = (world: World, random: Seeded, known: KnownUpload) => Promise<unknown>

/** Requests about one upload, each with the weight with which it is chosen. */
const operations: [number, Operation][] = [
  [30, append],
  [30, uploadPart],
  [8, complete],
  [8, status],
  [3, get],
  [6, listParts],
  [1.5, cancel],
  [0.7, expireAsAdmin],
  [3, completeAsAdmin],
]

export function operationOn(random: Seeded): Operation {
  let at = random.next() * operations.reduce((sum, [weight]) => sum + weight, 0)
  for (const [weight, operation] of operations) {
    at -= weight
    if (at < 0) return operation
  }
  return status
}

const checksumMismatch = () => new UploadError('CHECKSUM_MISMATCH', 'The checksum does not match.')
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
  const { file, id, creation } = known
  const at = await run<Upload>(world, random, known, {
    what: 'get',
    work: (engine) => engine.get(world.user, id),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
  })
  if (!at || !('answer' in at)) return
  const offset = random.chance(0.05) ? random.int(0, file.length) : at.answer.offset
  const ending = random.pick(['at-size', 'at-size', 'with-body', 'later'] as const)
  const rest = file.subarray(offset)
  const length = ending === 'with-body' ? rest.length : random.pick([1, 5, 10, 15, 30, rest.length])
  const honest = rest.subarray(0, length)
  const fate = random.pick(['whole', 'whole', 'whole', 'whole', 'broken', 'hung', 'too-long', 'corrupted'] as const)
  // A body can only be too long where the length of the file is known.
  const isTooLong = fate === 'too-long' && (creation.size !== null || at.answer.size !== null)
  const isCorrupted = fate === 'corrupted'
  const bytes = isCorrupted ? random.bytes(honest.length) : isTooLong ? Buffer.concat([rest, random.bytes(7)]) : honest
  const isCut = fate === 'broken' || fate === 'hung'
  const sent = isCut ? bytes.subarray(0, random.int(0, bytes.length)) : bytes
  const body = fate === 'broken' ? brokenBody(sent) : fate === 'hung' ? hungBody(sent) : bodyOf(split(sent, random))
  const givesSize = random.chance(0.3) || offset + honest.length === file.length
  const request: AppendRequest = {
    offset,
    body,
    bodySize: isTooLong || random.chance(0.3) ? null : bytes.length,
    ending: isTooLong && ending === 'with-body' ? 'at-size' : ending,
    ...(givesSize ? { size: file.length } : {}),
    ...(isCorrupted ? { digest: badDigest() } : random.chance(0.25) ? { digest: goodDigest(random) } : {}),
  }
  known.isCorrupted ||= isCorrupted
  known.appends += 1
  known.appending += 1
  if (creation.kind === 'parted') {
    known.offset = Math.min(known.offset, offset)
    const from = Math.floor(offset / known.partSize) + 1
    for (const number of known.receipts.keys()) if (number >= from) known.receipts.delete(number)
  }
  await run<Upload>(world, random, known, {
    what: `append ${offset}+${bytes.length} ${fate} (${sent.length}) ${request.ending}${request.digest ? ' digest' : ''}${request.size === undefined ? '' : ' size'}`,
    work: (engine) => engine.append(world.user, id, request),
    check(upload, was) {
      if (isCorrupted && sent.length > 0 && upload.state === 'receiving')
        throw new Violation('rejected bytes were counted')
      checkAgainstModel(known, upload, was, world)
    },
    expected: ['CHECKSUM_MISMATCH', 'FORBIDDEN'],
  })
  known.appending -= 1
}

async function uploadPart(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const { file, id, partSize, creation } = known
  const count = Math.ceil(file.length / partSize)
  if (creation.kind !== 'parted' || count === 0) return append(world, random, known)
  const missing = Array.from({ length: count }, (_, index) => index + 1).filter((number) => !known.receipts.has(number))
  const number = missing.length > 0 && random.chance(0.8) ? random.pick(missing) : random.int(1, count)
  const honest = file.subarray((number - 1) * partSize, number * partSize)
  const fate = random.pick(['whole', 'whole', 'whole', 'whole', 'whole', 'broken', 'hung', 'corrupted'] as const)
  const isCut = fate === 'broken' || fate === 'hung'
  const bytes = fate === 'corrupted' ? random.bytes(honest.length) : honest
  const sent = isCut ? bytes.subarray(0, random.int(0, bytes.length - 1)) : bytes
  const body = fate === 'broken' ? brokenBody(sent) : fate === 'hung' ? hungBody(sent) : bodyOf(split(sent, random))
  const digest = fate === 'corrupted' ? badDigest() : random.chance(0.2) ? goodDigest(random) : undefined
  await run(world, random, known, {
    what: `part ${number} ${fate}`,
    work: (engine) =>
      engine.uploadPart(world.user, id, { number, body, bodySize: random.chance(0.5) ? honest.length : null, digest }),
    check(written, was) {
      if (fate !== 'whole') throw new Violation(`a ${fate} part was accepted`)
      checkPart(known, number, written, was)
    },
    expected: ['INVALID_REQUEST', 'CHECKSUM_MISMATCH'],
  })
}

async function complete(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const { id, creation, file } = known
  // To complete a file of unknown length early would declare a shorter file.
  if (creation.size === null && creation.kind !== 'final' && known.offset < file.length) return
  const isWrong = random.chance(0.15)
  const list = [...known.receipts].map(([number, etag]) => ({ number, etag: isWrong ? 'wrong' : etag }))
  const expected = known.creation.kind === 'parted' && random.chance(0.3) ? list : undefined
  await run<Upload>(world, random, known, {
    what: expected ? `complete ${expected.length}${isWrong ? ' wrong' : ''}` : 'complete',
    work: (engine) => engine.complete(world.user, id, expected),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
    expected: expected ? ['INVALID_FIELD'] : [],
  })
}

async function status(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  const ending = random.pick(['at-size', 'later'] as const)
  await run<Upload>(world, random, known, {
    what: `status ${ending}`,
    work: (engine) => engine.status(world.user, known.id, ending),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
  })
}

async function get(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  await run<Upload>(world, random, known, {
    what: 'get',
    work: (engine) => engine.get(world.user, known.id),
    check: (upload, was) => checkAgainstModel(known, upload, was, world),
  })
}

async function listParts(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  await run(world, random, known, {
    what: 'list parts',
    work: (engine) => engine.listParts(world.user, known.id),
    check: (list, was) => checkParts(known, list, was, world),
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

async function expireAsAdmin(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  known.isExpired = true
  await run(world, random, known, {
    what: 'expire as admin',
    work: (engine) => engine.expireAsAdmin(world.admin, known.id),
    check() {
      known.isOver = true
    },
  })
}

async function completeAsAdmin(world: World, random: Seeded, known: KnownUpload): Promise<void> {
  await run(world, random, known, {
    what: 'complete as admin',
    work: (engine) => engine.completeAsAdmin(world.admin, known.id),
  })
}

function split(bytes: Buffer, random: Seeded): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = random.int(1, 25)
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}
