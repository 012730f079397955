/*
 * R2 completes a multipart upload only when all parts but the last have one size. The parts must have it whatever requests a client sends,
 * from one byte to 200 MiB. PARTS_VOLUME=20GiB is the long run.
 */
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { parseSize } from '../../../src/core/units.ts'
import { s3Options } from '../../../src/stores/s3/options.ts'
import { s3Store } from '../../../src/stores/s3/store.ts'
import { ada, openEngine } from '../../support/open-engine.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'
import { type Seeded, seeded } from '../../support/seeded.ts'

const MiB = 1024 ** 2
const volume = parseSize(process.env.PARTS_VOLUME ?? '600MiB') ?? 0
const seed = process.env.PARTS_SEED ?? 'equal parts'
const noise = randomBytes(16 * MiB)

it(`requests of any size make equal parts (seed ${seed})`, { timeout: 3_600_000 }, async () => {
  const s3 = await startS3StandIn({ equalParts: true, etags: 'opaque' })
  const store = s3Store(
    s3Options.parse({
      ...s3.settings,
    }),
  )
  onTestFinished(async () => {
    await store.close()
    await s3.close()
  })
  const random = seeded(seed)
  let left = volume
  for (let file = 0; left > 0; file += 1) {
    const { engine } = await openEngine({
      store,
      budget: createMemoryBudget(64 * MiB),
      partSize: random.pick([5 * MiB, 8 * MiB, 5 * MiB + 1, 16 * MiB]),
      finishWaitMs: 60_000,
    })
    const size = Math.min(left, logarithmic(random, 1, 400 * MiB))
    const isDeferred = random.chance(0.3)
    const { id } = await engine.create(ada, {
      filename: 'a',
      contentType: 'application/octet-stream',
      size: isDeferred ? null : size,
    })
    const hash = createHash('sha256')

    let upload = await engine.status(ada, id)
    for (let chunks = 0; upload.state === 'receiving' && upload.offset < size; chunks += 1) {
      const wanted = chunks > 40 ? size : logarithmic(random, 1, 200 * MiB)
      const length = Math.min(wanted, size - upload.offset)
      const isLast = upload.offset + length === size
      upload = await engine.append(ada, id, {
        offset: upload.offset,
        body: Readable.from(bytesOf(length, random, hash)),
        bodySize: random.chance(0.8) ? length : null,
        ...(isLast && { size }),
        ending: 'at-size',
      })
    }

    expect(upload.state, `file ${file} of ${size} bytes`).toBe('completed')
    const object = s3.objects().find(({ key }) => key === upload.key)!
    expect(object.size).toBe(size)
    expect(new Set(object.partSizes.slice(0, -1)).size).toBeLessThanOrEqual(1)
    expect(await s3.sha256Of(upload.key)).toBe(hash.digest('hex'))
    await engine.drained()
    await s3.removeObject(upload.key)
    expect(s3.objects()).toEqual([])
    expect(s3.multiparts()).toEqual([])
    left -= size
  }
})

/** Logarithmic: as often between 1 and 10 as between 10 and 100. */
function logarithmic(random: Seeded, smallest: number, largest: number): number {
  return Math.max(smallest, Math.min(largest, Math.round(smallest * (largest / smallest) ** random.next())))
}

function* bytesOf(length: number, random: Seeded, hash: ReturnType<typeof createHash>): Generator<Buffer> {
  for (let left = length; left > 0; ) {
    const start = random.int(0, noise.length - 1)
    const chunk = noise.subarray(start, Math.min(noise.length, start + left, start + 64 * 1024))
    hash.update(chunk)
    left -= chunk.length
    yield chunk
  }
}
