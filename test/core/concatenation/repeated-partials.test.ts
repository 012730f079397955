import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import { userOf } from '../../../src/core/upload.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { findUsageOf } from '../../../src/db/usage.ts'
import { bodyOf, openEngine, testDatabase } from '../../support/open-engine.ts'

const creation = { filename: 'a.bin', contentType: 'application/octet-stream' }
let count = 0
const somebody = () => userOf(`joiner ${count++}`, 'creator')

async function partial(engine: RunningEngine, actor = somebody(), bytes = 30): Promise<string> {
  const { id } = await engine.create(actor, { ...creation, size: bytes, concat: { kind: 'partial' } })
  await engine.append(actor, id, { offset: 0, body: bodyOf(randomBytes(bytes)), bodySize: bytes, ending: 'at-size' })
  return id
}

const join = (engine: RunningEngine, actor: ReturnType<typeof somebody>, from: string[]) =>
  engine.create(actor, { ...creation, size: null, concat: { kind: 'final', from, header: `final;${from.join(' ')}` } })

describe('a partial upload that is named again', () => {
  it('counts for the bytes of the day each time but the first', async () => {
    const { engine, database } = await openEngine()
    const ann = somebody()
    const [a, b] = [await partial(engine, ann), await partial(engine, ann)]

    const file = await join(engine, ann, [a, b, a, a])

    expect([file.state, file.size]).toEqual(['completed', 120])
    expect(await findUsageOf(database, ann)).toMatchObject({ dayBytes: 120, storedBytes: 120, reservedBytes: 0 })
  })

  it('is refused when the day has no room for its bytes', async () => {
    const { engine, database } = await openEngine({
      policies: () => ({ ...defaultPolicies, roles: { creator: { bytesPerDay: 100 } } }),
    })
    const ann = somebody()
    const [a, b] = [await partial(engine, ann), await partial(engine, ann)]

    const refused = join(engine, ann, [a, b, a, b])

    await expect(refused).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', facts: { rule: 'bytesPerDay' } })
    expect((await join(engine, ann, [a, b, a])).size).toBe(90)
    expect(await findUsageOf(database, ann)).toMatchObject({ dayBytes: 90 })
  })

  it('is refused beyond sixteen times, and while its length is unknown', async () => {
    const { engine } = await openEngine()
    const ann = somebody()
    const a = await partial(engine, ann)
    const { id: open } = await engine.create(ann, { ...creation, size: null, concat: { kind: 'partial' } })

    await expect(join(engine, ann, Array(18).fill(a))).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await expect(join(engine, ann, [open, open])).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    expect((await join(engine, ann, Array(17).fill(a))).size).toBe(510)
  })
})

it('a look at an unfinished final upload of many partial ones asks the database once for them', async () => {
  const real = uploadRepository(await testDatabase())
  const asked: number[] = []
  let single = 0
  const uploads = {
    ...real,
    find: (id: string) => {
      single += 1
      return real.find(id)
    },
    findAll: (ids: string[]) => {
      asked.push(ids.length)
      return real.findAll(ids)
    },
  }
  const { engine } = await openEngine({ uploads })
  const ann = somebody()
  const from: string[] = []
  for (let n = 0; n < 50; n += 1)
    from.push((await engine.create(ann, { ...creation, size: 10, concat: { kind: 'partial' } })).id)
  const { id } = await join(engine, ann, from)
  asked.length = 0
  single = 0

  const upload = await engine.status(ann, id)

  expect([upload.state, upload.size]).toEqual(['receiving', 500])
  expect(asked).toEqual([50])
  expect(single).toBeLessThan(3)
})
