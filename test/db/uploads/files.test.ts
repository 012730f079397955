import { createHash, randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { expect, it } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import type { EngineOptions } from '../../../src/core/engine-options.ts'
import { adoptionsIn } from '../../../src/db/uploads/adopt.ts'
import { ada, bodyOf, openEngine, testDatabase } from '../../support/open-engine.ts'

const notes = Buffer.from('first words of a file of several parts')

const check = { name: 'check', version: 1, isBlocking: true }

/** The content and the node of an upload, as the database has them. */
async function fileOf(id: string) {
  const database = await testDatabase()
  const [row] = await database.query<Record<string, unknown>>(
    {
      name: 'test-file',
      text: `select c.state, c.tenant, c.key, c.size, c.etag, c.sha256, c.crc32, c.content_type, n.name, n.owner_id, n.trashed_at is not null as is_trashed
        from contents c join nodes n on n.content_id = c.id where n.id = $1`,
    },
    [id],
  )
  return row ?? null
}

async function send(engine: RunningEngine, bytes: Buffer, more: object = {}): Promise<string> {
  const { id } = await engine.create(ada, {
    size: bytes.length,
    filename: 'notes.txt',
    contentType: 'text/plain',
    ...more,
  })
  await engine.append(ada, id, { offset: 0, body: bodyOf(bytes), bodySize: bytes.length, ending: 'at-size' })
  return id
}

const open = (overrides: Partial<EngineOptions> = {}) => openEngine({ deleteGraceMs: 3_600_000, ...overrides })

it('makes the content and the node of a file when its upload completes', async () => {
  const { engine } = await open()
  const sha256 = createHash('sha256').update(notes).digest()

  const id = await send(engine, notes, {
    digests: { expected: { 'sha-256': sha256.toString('base64') }, wanted: [] },
  })

  const { key, etag } = await engine.get(ada, id)
  expect(await fileOf(id)).toEqual({
    ...{
      state: 'live',
      tenant: '',
      key,
      size: notes.length,
      etag,
      sha256,
      crc32: crc32(notes),
      content_type: 'text/plain',
    },
    ...{ name: 'notes.txt', owner_id: 'ada', is_trashed: false },
  })
})

it('has no file before the upload is complete, and none of one that ended without', async () => {
  const { engine } = await open()
  const { id } = await engine.create(ada, { size: 20, filename: 'notes.txt', contentType: 'text/plain' })
  await engine.append(ada, id, { offset: 0, body: bodyOf(notes.subarray(0, 10)), bodySize: 10, ending: 'at-size' })
  expect(await fileOf(id)).toBeNull()

  await engine.cancel(ada, id)

  expect(await fileOf(id)).toBeNull()
})

it('makes no file of a partial upload, and one of the final upload', async () => {
  const { engine } = await open()
  const partials = [await send(engine, notes, { isPartial: true }), await send(engine, notes, { isPartial: true })]

  const { id } = await engine.create(ada, {
    ...{ kind: 'final', isPartial: false, partials, uploadConcat: 'final' },
    ...{ size: null, filename: 'both.txt', contentType: 'text/plain' },
  })

  expect(await engine.status(ada, id)).toMatchObject({ state: 'completed' })
  expect(await fileOf(id)).toMatchObject({ state: 'live', size: 2 * notes.length, name: 'both.txt' })
  expect(await fileOf(partials[0]!)).toBeNull()
})

it('begins a content as held where a check must pass it first', async () => {
  const { engine } = await open({ newSteps: ({ contentType }) => (contentType === 'text/plain' ? [check] : []) })

  expect(await fileOf(await send(engine, notes))).toMatchObject({ state: 'held' })
  expect(await fileOf(await send(engine, notes, { contentType: 'text/csv' }))).toMatchObject({ state: 'live' })
})

it.each(['live', 'held'] as const)('trashes a deleted file and brings it back as it was: %s', async (state) => {
  const { engine } = await open({ newSteps: () => (state === 'held' ? [check] : []) })
  const id = await send(engine, notes)

  await engine.cancel(ada, id)
  expect(await fileOf(id)).toMatchObject({ state, is_trashed: true })

  await engine.restore(id, ada)
  expect(await fileOf(id)).toMatchObject({ state, is_trashed: false })
})

it('trashes a file whose object is lost', async () => {
  const { engine, store } = await open()
  const id = await send(engine, notes)
  await store.remove([(await engine.get(ada, id)).key])

  await engine.observeFile(id, ada)
  await engine.observeFile(id, ada)

  expect(await fileOf(id)).toMatchObject({ state: 'live', is_trashed: true })
})

it('says that the content is gone once its object is removed', async () => {
  const { engine } = await open({ deleteGraceMs: 0 })
  const id = await send(engine, notes)

  await engine.cancel(ada, id)

  expect(await fileOf(id)).toMatchObject({ state: 'gone', is_trashed: true })
})

it('makes the file of an object that is adopted', async () => {
  const id = randomUUID()
  const origin = { id, ownerId: 'ada', tenant: null, role: 'creator', filename: 'a.txt' }
  const known = { contentType: 'text/plain', category: 'document', createdAt: new Date() }

  const isNew = await adoptionsIn(await testDatabase(), 'held').insert(
    `adopted/${id}`,
    { ...origin, ...known },
    { size: 5, etag: 'e' },
    new Date(),
  )

  expect(isNew).toBe(true)
  expect(await fileOf(id)).toMatchObject({ state: 'held', key: `adopted/${id}`, size: 5, name: 'a.txt' })
})

it('makes the file of an unfinished upload whose object is complete', async () => {
  const { engine } = await open()
  const { id } = await engine.create(ada, { size: 5, filename: 'a.txt', contentType: 'text/plain' })
  const { key } = await engine.get(ada, id)

  await adoptionsIn(await testDatabase()).complete(key, { size: 5, etag: 'e' }, new Date())

  expect(await fileOf(id)).toMatchObject({ state: 'live', key, size: 5, etag: 'e' })
})
