import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import type { CreateUpload } from '../../../src/core/upload.ts'
import { adoptionsIn } from '../../../src/db/uploads/adopt.ts'
import { finalOf } from '../../support/final-of.ts'
import { memoryStore, unavailable } from '../../support/memory-store.ts'
import { ada, bodyOf, openEngine } from '../../support/open-engine.ts'

// Parts have 10 bytes.
const bytes = randomBytes(47)

const create = (engine: RunningEngine, more: Partial<CreateUpload> = {}) =>
  engine.create(ada, { size: bytes.length, filename: 'a.bin', contentType: 'text/plain', ...more } as CreateUpload)

/** Appends `bytes` in bodies that end at `ends`. */
async function append(engine: RunningEngine, id: string, whole: Buffer, ends: number[]) {
  let offset = 0
  for (const end of [...ends, whole.length]) {
    const body = whole.subarray(offset, end)
    await engine.append(ada, id, { offset, body: bodyOf(body), bodySize: body.length, ending: 'at-size' })
    offset = end
  }
}

const write = (engine: RunningEngine, id: string, number: number, whole = bytes) => {
  const part = whole.subarray((number - 1) * 10, number * 10)
  return engine.uploadPart(ada, id, { number, body: bodyOf(part), bodySize: part.length })
}

const sumOf = async (engine: RunningEngine, id: string) => (await engine.get(ada, id)).crc32

/** A store that does not tell the CRC-32 of the part with this number, like one that copies it by itself. */
function storeWithout(number: number) {
  const store = memoryStore()
  const { uploadPart } = store
  store.uploadPart = async (...args) => {
    const part = await uploadPart(...args)
    return part.number === number ? { ...part, crc32: null } : part
  }
  return store
}

describe('the CRC-32 of a file', () => {
  it.each([
    ['in one body', []],
    ['in bodies of whole parts', [10, 20, 40]],
    ['in bodies that leave tails, which are joined', [3, 7, 15, 16, 44]],
  ])('is that of all its bytes when it arrives %s', async (_, ends) => {
    const { engine } = await openEngine()
    const { id } = await create(engine)

    await append(engine, id, bytes, ends)

    expect(await sumOf(engine, id)).toBe(crc32(bytes))
  })

  it.each([0, 7, 10])('of %i bytes, which are one object, is that of these bytes', async (size) => {
    const { engine } = await openEngine()
    const whole = bytes.subarray(0, size)
    const { id } = await create(engine, { size })

    if (size > 0) await append(engine, id, whole, size > 3 ? [3] : [])

    expect(await sumOf(engine, id)).toBe(crc32(whole))
  })

  it('is not told before every byte is stored', async () => {
    const { engine } = await openEngine()
    const { id } = await create(engine)

    await append(engine, id, bytes.subarray(0, 30), [])

    expect(await sumOf(engine, id)).toBeNull()
    const { upload, parts } = await engine.listParts(ada, id)
    const begin = (number: number) => (number - 1) * upload.partSize
    expect(parts.reduce((sum, { size }) => sum + size, 0)).toBe(30)
    for (const part of parts)
      expect(part.crc32).toBe(crc32(bytes.subarray(begin(part.number), begin(part.number) + part.size)))
  })

  it.each([[[1, 2, 3, 4, 5]], [[5, 3, 1, 4, 2]]])('is right when its parts arrive in the order %j', async (numbers) => {
    const { engine } = await openEngine()
    const { id } = await create(engine, { kind: 'parted', ending: 'later' })

    for (const number of numbers) await write(engine, id, number)
    await engine.complete(ada, id)

    expect(await sumOf(engine, id)).toBe(crc32(bytes))
  })

  it('is that of the bytes that replaced a part', async () => {
    const { engine } = await openEngine()
    const { id } = await create(engine, { kind: 'parted', ending: 'later' })
    for (const number of [1, 2, 3, 4, 5]) await write(engine, id, number, randomBytes(47))

    for (const number of [1, 2, 3, 4, 5]) await write(engine, id, number)
    await engine.complete(ada, id)

    expect(await sumOf(engine, id)).toBe(crc32(bytes))
  })

  it('is unknown when that of one part is', async () => {
    const { engine } = await openEngine({ store: storeWithout(3) })
    const { id } = await create(engine)

    await append(engine, id, bytes, [25])

    expect(await engine.get(ada, id)).toMatchObject({ state: 'completed', crc32: null })
  })

  it('is right when the store answered at the second attempt only', async () => {
    const store = memoryStore()
    const { engine } = await openEngine({ store })
    const { id } = await create(engine)
    store.fault = (call, at) => {
      if (call === 'completeMultipart' && at === 'before') throw unavailable()
    }
    await expect(append(engine, id, bytes, [])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}

    await engine.status(ada, id)

    expect(await sumOf(engine, id)).toBe(crc32(bytes))
  })

  it('is unknown of an object that an older database finds in the store', async () => {
    const { engine, store, database } = await openEngine()
    const { id, key } = await create(engine)
    await append(engine, id, bytes.subarray(0, 30), [])
    store.objects.set(key, bytes)

    expect(await adoptionsIn(database).complete(key, { size: bytes.length, etag: 'e' }, new Date())).toBe(true)

    expect(await engine.get(ada, id)).toMatchObject({ state: 'completed', crc32: null })
  })
})

describe('the CRC-32 of a concatenated file', () => {
  /** Partial uploads of these lengths, in a store with parts of `partSize` bytes. */
  async function partials(engine: RunningEngine, lengths: number[]): Promise<string[]> {
    const ids: string[] = []
    let at = 0
    for (const size of lengths) {
      const { id } = await create(engine, { size, isPartial: true })
      if (size > 0) await append(engine, id, bytes.subarray(at, at + size), [])
      ids.push(id)
      at += size
    }
    return ids
  }

  it.each([[[10, 10, 10, 10, 7]], [[25, 22]], [[1, 0, 33, 13]]])(
    'is that of partial uploads of %j bytes',
    async (lengths) => {
      const { engine } = await openEngine()
      const from = await partials(engine, lengths)

      const { id } = await create(engine, { size: null, ...finalOf(from) })

      expect(await sumOf(engine, id)).toBe(crc32(bytes))
    },
  )

  it('is known from its partial uploads when the store copies every part', async () => {
    const store = memoryStore()
    const { copyPart, uploadPart } = store
    store.copyPart = async (...args) => ({ ...(await copyPart(...args)), crc32: null })
    const { engine } = await openEngine({ store })
    const from = await partials(engine, [30, 17])
    store.uploadPart = async (...args) => ({ ...(await uploadPart(...args)), crc32: null })

    const { id } = await create(engine, { size: null, ...finalOf(from) })

    expect(await sumOf(engine, id)).toBe(crc32(bytes))
  })

  it('is unknown when neither its parts nor its partial uploads tell it', async () => {
    const { engine } = await openEngine({ store: storeWithout(1) })
    const from = await partials(engine, [30, 17])

    const { id } = await create(engine, { size: null, ...finalOf(from) })

    expect(await engine.get(ada, id)).toMatchObject({ state: 'completed', crc32: null })
  })

  it('counts a partial upload that is named twice twice', async () => {
    const { engine } = await openEngine()
    const [id] = await partials(engine, [30])

    const final = await create(engine, { size: null, ...finalOf([id!, id!]) })

    expect(await sumOf(engine, final.id)).toBe(crc32(Buffer.concat([bytes.subarray(0, 30), bytes.subarray(0, 30)])))
  })
})
