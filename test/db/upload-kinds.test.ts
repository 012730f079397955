import { describe, expect, it } from 'vitest'
import { codeOf } from '../../src/db/errors.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { finalOf } from '../support/final-of.ts'
import { ada, openEngine } from '../support/open-engine.ts'

const checkViolation = '23514'
const file = { filename: 'a.bin', contentType: 'application/octet-stream' }

async function createAll() {
  const { engine, database } = await openEngine()
  const sequential = await engine.create(ada, { ...file, size: 10 })
  const parted = await engine.create(ada, { ...file, size: 10, kind: 'parted' })
  const partial = await engine.create(ada, { ...file, size: 10, isPartial: true })
  const final = await engine.create(ada, { ...file, size: null, ...finalOf([partial.id, partial.id]) })
  const change = (id: string, what: string) =>
    database.query({ name: `change ${what}`, text: `update upload_sessions set ${what} where id = $1` }, [id])
  return { uploads: uploadRepository(database), sequential, parted, partial, final, change }
}

describe('the kind of an upload', () => {
  it('is read as it was created', async () => {
    const { uploads, sequential, parted, partial, final } = await createAll()

    expect(await uploads.find(sequential.id)).toMatchObject({ kind: 'sequential', isPartial: false })
    expect(await uploads.find(parted.id)).toMatchObject({ kind: 'parted', isPartial: false })
    expect(await uploads.find(partial.id)).toMatchObject({ kind: 'sequential', isPartial: true })
    expect(await uploads.find(final.id)).toMatchObject(finalOf([partial.id, partial.id]))
  })

  it('cannot contradict the other columns of its row', async () => {
    const { sequential, final, change } = await createAll()

    const wrong = [
      change(sequential.id, `kind = 'final'`),
      change(sequential.id, `kind = 'unknown'`),
      change(sequential.id, `partials = '[]'`),
      change(final.id, `kind = 'parted'`),
      change(final.id, `is_partial = true`),
      change(final.id, `upload_concat = null`),
    ]

    for (const result of await Promise.allSettled(wrong))
      expect(result.status === 'rejected' && codeOf(result.reason)).toBe(checkViolation)
  })
})
