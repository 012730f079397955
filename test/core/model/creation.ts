import { createHash } from 'node:crypto'
import type { AppendRequest, RunningEngine } from '../../../src/core/engine.ts'
import { isUploadError } from '../../../src/core/errors/error.ts'
import type { CreateUpload, FinalUpload, SentUpload, Upload } from '../../../src/core/upload.ts'
import { finalOf } from '../../support/final-of.ts'
import { bodyOf, brokenBody, hungBody } from '../../support/open-engine.ts'
import type { Seeded } from '../../support/seeded.ts'
import { checkAgainstModel, type KnownUpload } from './known-upload.ts'
import { run } from './run.ts'
import type { World } from './world.ts'

/** Creates an upload whose client learns the id before it sends the body. */
function createWithBody(
  engine: RunningEngine,
  world: World,
  known: KnownUpload,
  request: AppendRequest,
): Promise<Upload> {
  return engine.createWithBody(world.user, known.creation as CreateUpload & Partial<SentUpload>, (created) => {
    known.id = created.id
    known.partSize = created.partSize
    world.uploads.push(known)
    return request
  })
}

/** Makes the body of each attempt of a creation, which may be cut; `null`: the creation brings none. */
function firstBody(random: Seeded, file: Buffer): (() => AppendRequest) | null {
  if (random.chance(0.5)) return null
  const bytes = random.chance(0.5) ? file : file.subarray(0, random.int(0, file.length))
  const fate = random.pick(['whole', 'whole', 'broken', 'hung'] as const)
  const sent = fate === 'whole' ? bytes : bytes.subarray(0, random.int(0, bytes.length))
  const ending =
    bytes === file ? random.pick(['at-size', 'with-body'] as const) : random.pick(['at-size', 'later'] as const)
  const body = { whole: bodyOf, broken: brokenBody, hung: hungBody }[fate]
  return () => ({ offset: 0, body: body(sent), bodySize: bytes.length, ending })
}

/** Creates one upload, or several partial uploads and the final upload that concatenates them. */
export async function create(world: World, random: Seeded): Promise<void> {
  if (random.chance(0.75)) return void (await createOne(world, random, random.bytes(fileSize(random))))
  const partials: KnownUpload[] = []
  for (let left = random.int(1, 3); left > 0; left -= 1) {
    const partial = await createOne(world, random, random.bytes(fileSize(random)), { isPartial: true })
    if (partial) partials.push(partial)
  }
  if (partials.length === 0) return
  // An upload of unknown length cannot be named again.
  const mayRepeat = partials.every(({ creation }) => creation.size !== null)
  await createFinal(world, random, mayRepeat && random.chance(0.1) ? [...partials, random.pick(partials)] : partials)
  // Both final uploads name the same partial ones: only one of them can complete.
  if (random.chance(0.1)) await createFinal(world, random, partials)
}

async function createFinal(world: World, random: Seeded, partials: KnownUpload[]) {
  const file = Buffer.concat(partials.map((partial) => partial.file))
  if (file.length > 400) return
  const final = { ...finalOf(partials.map(({ id }) => id)), uploadConcat: `final;${random.next()}` }
  await createOne(world, random, file, final, partials)
}

function fileSize(random: Seeded): number {
  return random.pick([0, 1, 9, 10, 11, 20, 35, random.int(1, 120)])
}

async function createOne(
  world: World,
  random: Seeded,
  file: Buffer,
  source: FinalUpload | Partial<SentUpload> = {},
  partials: KnownUpload[] = [],
): Promise<KnownUpload | null> {
  const types = ['application/octet-stream', 'image/png', 'text/plain', 'application/pdf'].filter(world.mayCreate)
  const isFinal = source.kind === 'final'
  const isParted = !isFinal && random.chance(0.4)
  const isOtherFile = !isFinal && !source.isPartial && random.chance(0.05)
  const sha256 = createHash('sha256')
    .update(isOtherFile ? 'other' : file)
    .digest('base64')
  const expected = isOtherFile || random.chance(0.2) ? { 'sha-256': sha256 } : {}
  const hasDigests = (isOtherFile || random.chance(0.3)) && !source.isPartial
  const creation: CreateUpload = {
    size: isFinal || (!isParted && random.chance(0.3)) ? null : file.length,
    filename: 'a.bin',
    contentType: random.pick(types),
    ...(isParted ? { ...source, kind: 'parted' } : source),
    ending: random.chance(0.3) ? 'later' : 'at-size',
    digests: hasDigests ? { expected, wanted: random.chance(0.5) ? ['sha-512'] : [] } : null,
    firstChunkSize: random.chance(0.2) ? random.int(1, 40) : undefined,
  }
  const known: KnownUpload = {
    name: `${isFinal ? 'final' : source.isPartial ? 'partial' : 'upload'} ${world.uploads.length}`,
    id: '',
    file,
    creation,
    partSize: 0,
    partials,
    offset: 0,
    receipts: new Map(),
    appends: 0,
    appending: 0,
    isCompleted: false,
    isOver: false,
    isCancelled: false,
    isExpired: false,
    finals: [],
    isCorrupted: false,
    isOtherFile: isOtherFile && hasDigests,
  }
  for (const partial of partials) partial.finals.push(known)
  const body = isFinal || isParted ? null : firstBody(random.fork('body'), file)
  const label = `create ${creation.size ?? '?'} (${file.length}) ${creation.contentType}${isParted ? ' in numbered parts' : ''}`
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const outcome = await run<Upload>(world, random, known, {
      what: `${label} ${hasDigests ? JSON.stringify(creation.digests) : ''}`,
      work: (engine) => (body ? createWithBody(engine, world, known, body()) : engine.create(world.user, creation)),
      check(upload, was) {
        known.id = upload.id
        known.partSize = upload.partSize
        // A second final upload of the same partial ones is the first one, whatever its creation says of the file.
        if (world.uploads.some((other) => other !== known && other.id === upload.id)) return
        checkAgainstModel(known, upload, was, world)
      },
      expected: ['TYPE_NOT_ALLOWED', 'CATEGORY_NOT_ALLOWED'],
    })
    if (known.id !== '') {
      const same = world.uploads.find(({ id }) => id === known.id)
      if (!same) world.uploads.push(known)
      return same ?? known
    }
    // An upload whose creation was not answered has an id that the client does not know: only its expiry ends it.
    known.isOver = false
    if (
      outcome &&
      'error' in outcome &&
      !isUploadError(outcome.error, 'STORE_UNAVAILABLE', 'DATABASE_ERROR', 'SHUTTING_DOWN')
    )
      return null
  }
  return null
}
