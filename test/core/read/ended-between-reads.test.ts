import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import type { Database } from '../../../src/db/open.ts'
import { ada, bodyOf, openEngine, testDatabase } from '../../support/open-engine.ts'

/** An upload of two parts with the first one stored, on a database that calls `between` after the first statement of the next call. */
async function openBetweenReads(between: (engine: RunningEngine, id: string) => Promise<unknown>) {
  const bytes = randomBytes(20)
  const real = await testDatabase()
  let armed: string | null = null
  const database: Database = {
    ...real,
    async query<T>(...args: Parameters<Database['query']>) {
      const rows = await real.query<T>(...args)
      const id = armed
      armed = null
      if (id) await between(engine, id)
      return rows
    },
  }
  const { engine } = await openEngine({ database })
  const creation = { size: 20, filename: 'a.bin', contentType: 'application/octet-stream', kind: 'parted' as const }
  const { id, partSize } = await engine.create(ada, creation)
  const send = (number: number) => {
    const part = bytes.subarray((number - 1) * partSize, number * partSize)
    return engine.uploadPart(ada, id, { number, body: bodyOf(part), bodySize: part.length })
  }
  await send(1)
  return { engine, id, partSize, send, arm: () => (armed = id) }
}

const cancel = (engine: RunningEngine, id: string) => engine.cancel(ada, id)

describe('an upload that is cancelled between two statements of a request', () => {
  // A request that reads it in one statement has its answer from before; none may report that it is open at its beginning.
  it.each<[string, (engine: RunningEngine, id: string) => Promise<{ state: string; offset: number }>]>([
    ['a look', (engine, id) => engine.get(ada, id)],
    ['a client that asks where to continue', (engine, id) => engine.status(ada, id)],
    ['the list', async (engine) => (await engine.list(ada, { limit: 1 }))[0]!],
    ['the list of its parts', async (engine, id) => (await engine.listParts(ada, id)).upload],
  ])('is never back at its beginning: %s', async (_, read) => {
    const { engine, id, partSize, arm } = await openBetweenReads(cancel)

    arm()
    const upload = await read(engine, id)

    const seen = upload.state === 'receiving' ? { offset: partSize } : { state: 'cancelled' }
    expect(upload).toMatchObject(seen)
  })

  it('has no parts in the list of its parts', async () => {
    const { engine, id, arm } = await openBetweenReads(cancel)

    arm()

    expect(await engine.listParts(ada, id)).toMatchObject({ upload: { state: 'cancelled' }, parts: [] })
  })
})

describe('an upload that completes between two statements of a request', () => {
  it('is complete, or open at its end', async () => {
    const { engine, id, partSize, send, arm } = await openBetweenReads(async (engine, id) => {
      await engine.complete(ada, id)
    })
    for (let number = 2; number <= Math.ceil(20 / partSize); number += 1) await send(number)

    arm()

    expect(await engine.get(ada, id)).toMatchObject({ offset: 20 })
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
