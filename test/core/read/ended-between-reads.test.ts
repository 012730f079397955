import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import type { UploadRepository } from '../../../src/core/ports/uploads.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { ada, bodyOf, openEngine, testDatabase } from '../../support/open-engine.ts'

/** An upload of two parts with the first one stored, on a repository that calls `between` after the row and before its parts are read. */
async function openBetweenReads(between: (engine: RunningEngine, id: string) => Promise<unknown>) {
  const bytes = randomBytes(20)
  const repository = uploadRepository(await testDatabase())
  let isArmed = false
  const once = async (id: string) => {
    if (!isArmed) return
    isArmed = false
    await between(engine, id)
  }
  const uploads: UploadRepository = {
    ...repository,
    parts: async (id) => once(id).then(() => repository.parts(id)),
    leadingParts: async (ids) => once(ids[0]!).then(() => repository.leadingParts(ids)),
  }
  const { engine } = await openEngine({ uploads })
  const creation = { size: 20, filename: 'a.bin', contentType: 'application/octet-stream', kind: 'parted' as const }
  const { id, partSize } = await engine.create(ada, creation)
  const send = (number: number) => {
    const part = bytes.subarray((number - 1) * partSize, number * partSize)
    return engine.uploadPart(ada, id, { number, body: bodyOf(part), bodySize: part.length })
  }
  await send(1)
  return { engine, id, partSize, send, arm: () => (isArmed = true) }
}

const cancel = (engine: RunningEngine, id: string) => engine.cancel(ada, id)

describe('an upload that is cancelled between the reads of its row and of its parts', () => {
  it('is cancelled for a look, and not back at its beginning', async () => {
    const { engine, id, arm } = await openBetweenReads(cancel)

    arm()

    expect((await engine.get(ada, id)).state).toBe('cancelled')
  })

  it('is gone for a client that asks where to continue', async () => {
    const { engine, id, arm } = await openBetweenReads(cancel)

    arm()

    await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
  })

  it('is cancelled in the list, and without parts', async () => {
    const { engine, id, arm } = await openBetweenReads(cancel)

    arm()
    const listed = await engine.list(ada, { limit: 1 })
    const parts = await engine.listParts(ada, id)

    expect(listed[0]).toMatchObject({ id, state: 'cancelled' })
    expect(parts).toMatchObject({ upload: { state: 'cancelled' }, parts: [] })
  })
})

describe('an upload that completes between the reads of its row and of its parts', () => {
  it('is complete', async () => {
    const { engine, id, partSize, send, arm } = await openBetweenReads(async (engine, id) => {
      await engine.complete(ada, id)
    })
    for (let number = 2; number <= Math.ceil(20 / partSize); number += 1) await send(number)

    arm()

    expect(await engine.get(ada, id)).toMatchObject({ state: 'completed', offset: 20 })
  })
})

it('an upload without parts stays open at its beginning', async () => {
  const { engine } = await openBetweenReads(async () => {})
  const creation = { size: 20, filename: 'b.bin', contentType: 'application/octet-stream', kind: 'parted' as const }
  const { id } = await engine.create(ada, creation)

  expect(await engine.get(ada, id)).toMatchObject({ state: 'receiving', offset: 0 })
  expect((await engine.list(ada, { limit: 1 }))[0]).toMatchObject({ id, state: 'receiving', offset: 0 })
})
