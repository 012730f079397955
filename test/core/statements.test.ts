import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import type { RunningEngine } from '../../src/core/engine.ts'
import { countingDatabase } from '../support/counting-database.ts'
import { ada, bodyOf, openEngine } from '../support/open-engine.ts'

const create = (engine: RunningEngine, size: number) =>
  engine.create(ada, { size, filename: 'notes.txt', contentType: 'text/plain' })

const createWithBody = (engine: RunningEngine, size: number, bytes: number) =>
  engine.createWithBody(ada, { size, filename: 'notes.txt', contentType: 'text/plain' }, () => ({
    offset: 0,
    body: bodyOf(randomBytes(bytes)),
    bodySize: bytes,
    ending: 'at-size',
  }))

const append = (engine: RunningEngine, id: string, offset: number, bytes: number) =>
  engine.append(ada, id, { offset, body: bodyOf(randomBytes(bytes)), bodySize: bytes, ending: 'at-size' })

const uploadPart = (engine: RunningEngine, id: string, number: number) =>
  engine.uploadPart(ada, id, { number, body: bodyOf(randomBytes(10)), bodySize: 10 })

/** What was sent before, and the request whose statements are counted. Parts have 10 bytes. */
const requests: [string, (engine: RunningEngine) => Promise<() => Promise<unknown>>, string[]][] = [
  [
    'an append in the middle of a file',
    async (engine) => {
      const { id } = await create(engine, 100)
      return () => append(engine, id, 0, 33)
    },
    ['lease-acquire', 'upload-save-parts'],
  ],
  [
    'a creation with a whole file of one part',
    async (engine) => () => createWithBody(engine, 7, 7),
    ['upload-insert', 'upload-save-complete'],
  ],
  [
    'a creation with the first bytes of a file',
    async (engine) => () => createWithBody(engine, 100, 33),
    ['upload-insert', 'upload-save-parts'],
  ],
  [
    'a file of one part',
    async (engine) => {
      const { id } = await create(engine, 7)
      return () => append(engine, id, 0, 7)
    },
    ['lease-acquire', 'upload-save-complete'],
  ],
  [
    'a file of several parts in one body',
    async (engine) => {
      const { id } = await create(engine, 33)
      return () => append(engine, id, 0, 33)
    },
    // The last parts and `finishing`; then, after the store has made the object, `completed`.
    ['lease-acquire', 'upload-save-parts', 'upload-save-complete'],
  ],
  [
    'the last body of a file of several parts',
    async (engine) => {
      const { id } = await create(engine, 33)
      await append(engine, id, 0, 20)
      return () => append(engine, id, 20, 13)
    },
    ['lease-acquire', 'upload-save-parts', 'parts-find', 'upload-save-complete'],
  ],
  [
    'the first numbered part',
    async (engine) => {
      const { id } = await create(engine, 30)
      return () => uploadPart(engine, id, 2)
    },
    ['lease-find', 'lease-find', 'lease-acquire', 'upload-save', 'part-lock-acquire', 'part-record'],
  ],
  [
    'a further numbered part',
    async (engine) => {
      const { id } = await create(engine, 30)
      await uploadPart(engine, id, 2)
      return () => uploadPart(engine, id, 1)
    },
    ['lease-find', 'part-lock-acquire', 'part-record'],
  ],
  [
    'the status of an upload of numbered parts',
    async (engine) => {
      const { id } = await create(engine, 30)
      await uploadPart(engine, id, 2)
      return () => engine.status(ada, id)
    },
    ['lease-read'],
  ],
  [
    'the completion of numbered parts that are listed',
    async (engine) => {
      const { id } = await create(engine, 20)
      const parts = [await uploadPart(engine, id, 1), await uploadPart(engine, id, 2)]
      const listed = parts.map(({ etag }, at) => ({ number: at + 1, etag }))
      return () => engine.complete(ada, id, listed)
    },
    ['upload-find', 'lease-acquire', 'upload-find-unlocked', 'parts-find', 'upload-save', 'upload-save-complete'],
  ],
]

// Runs beside the answer, once the file is complete.
const isCleanUp = (name: string) => name === 'upload-cleanup-version' || name === 'upload-mark-cleaned-up'

it.each(requests)('%s needs so many statements', async (_, prepare, statements) => {
  const { database, sent } = await countingDatabase()
  const { engine } = await openEngine({ database })
  const request = await prepare(engine)
  sent.length = 0

  await request()

  expect(sent.filter((name) => !isCleanUp(name))).toEqual(statements)
})
