import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { userOf } from '../../../src/core/upload.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { findUsageOf } from '../../../src/db/usage.ts'
import { finalOf } from '../../support/final-of.ts'
import { bodyOf, openEngine, testDatabase } from '../../support/open-engine.ts'

const creation = { filename: 'a.bin', contentType: 'application/octet-stream' }
let count = 0
const newUser = () => userOf(`user ${count++}`, 'creator')

async function partial(engine: RunningEngine, actor = newUser(), bytes = 30): Promise<string> {
  const { id } = await engine.create(actor, { ...creation, size: bytes, isPartial: true })
  await engine.append(actor, id, { offset: 0, body: bodyOf(randomBytes(bytes)), bodySize: bytes, ending: 'at-size' })
  return id
}

const concatenate = (engine: RunningEngine, actor: ReturnType<typeof newUser>, from: string[]) =>
  engine.create(actor, { ...creation, size: null, ...finalOf(from) })

describe('a partial upload that is named more than once', () => {
  it('counts for the daily bytes each time but the first', async () => {
    const { engine, database } = await openEngine()
    const ann = newUser()
    const [a, b] = [await partial(engine, ann), await partial(engine, ann)]

    const file = await concatenate(engine, ann, [a, b, a, a])

    expect([file.state, file.size]).toEqual(['completed', 120])
    expect(await findUsageOf(database, ann)).toMatchObject({ dayBytes: 120, storedBytes: 120, reservedBytes: 0 })
  })

  it('is refused beyond the daily bytes', async () => {
    const { engine, database } = await openEngine({
      policies: () => ({ ...defaultPolicies, roles: { creator: { bytesPerDay: 100 } } }),
    })
    const ann = newUser()
    const [a, b] = [await partial(engine, ann), await partial(engine, ann)]

    const refused = concatenate(engine, ann, [a, b, a, b])

    await expect(refused).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', facts: { rule: 'bytesPerDay' } })
    expect((await concatenate(engine, ann, [a, b, a])).size).toBe(90)
    expect(await findUsageOf(database, ann)).toMatchObject({ dayBytes: 90 })
  })

  it('is refused beyond sixteen times, and while its length is unknown', async () => {
    const { engine } = await openEngine()
    const ann = newUser()
    const a = await partial(engine, ann)
    const { id: open } = await engine.create(ann, { ...creation, size: null, isPartial: true })

    await expect(concatenate(engine, ann, Array(18).fill(a))).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await expect(concatenate(engine, ann, [open, open])).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    expect((await concatenate(engine, ann, Array(17).fill(a))).size).toBe(510)
  })
})

it('the status of a final upload reads all of its partial uploads with one statement', async () => {
  const real = uploadRepository(await testDatabase())
  const lookups: number[] = []
  let single = 0
  const uploads = {
    ...real,
    find: (id: string) => {
      single += 1
      return real.find(id)
    },
    findAll: (ids: string[]) => {
      lookups.push(ids.length)
      return real.findAll(ids)
    },
  }
  const { engine } = await openEngine({ uploads })
  const ann = newUser()
  const from: string[] = []
  for (let n = 0; n < 50; n += 1) from.push((await engine.create(ann, { ...creation, size: 10, isPartial: true })).id)
  const { id } = await concatenate(engine, ann, from)
  lookups.length = 0
  single = 0

  const upload = await engine.status(ann, id)

  expect([upload.state, upload.size]).toEqual(['receiving', 500])
  expect(lookups).toEqual([50])
  expect(single).toBeLessThan(3)
})
