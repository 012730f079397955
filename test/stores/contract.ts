import { randomBytes, randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  type Bytes,
  NoSuchKey,
  NoSuchUpload,
  ObjectExists,
  type ObjectStore,
} from '../../src/core/ports/object-store.ts'

export interface OpenStore {
  store: ObjectStore
  /** The number of open multipart uploads. */
  openMultiparts(): Promise<number>
}

const metadata = { contentType: 'image/png' }

/** Bytes in chunks as a socket delivers them. */
export function inChunks(buffer: Buffer, chunkSize = 65_536): Bytes {
  return {
    size: buffer.length,
    *chunks() {
      for (let at = 0; at < buffer.length; at += chunkSize) yield buffer.subarray(at, at + chunkSize)
    },
  }
}

/** Reads all bytes of an object, or of a range. */
export async function readAll(
  store: ObjectStore,
  key: string,
  range?: { start: number; end: number },
): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of store.read(key, range)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function listAll(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const key of store.list(prefix)) keys.push(key)
  return keys.sort()
}

/** The contract of every store. `partSize` must be one that the store accepts. */
export function storeContract(
  name: string,
  open: () => Promise<OpenStore>,
  partSize: number,
  options: {
    supportsIfNoneMatch?: boolean
    completesPrefixOfParts?: boolean
    /** Whether the ETag of a part depends only on its bytes; with encryption by the store's own keys it may not. */
    etagsIdentifyBytes?: boolean
    /** Of which bytes the store tells the CRC-32: of all, of those that pass the server, or of none. */
    crc32s?: 'all' | 'sent' | 'none'
  } = {},
): void {
  const newKey = () => `creator/ada/20260101/other/${randomUUID()}-a.bin`

  async function writeObject(store: ObjectStore, key: string, bytes: Buffer) {
    const multipartId = await store.createMultipart(key, { ...metadata, partSize })
    const count = Math.ceil(bytes.length / partSize)
    const parts = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        store.uploadPart(
          key,
          multipartId,
          index + 1,
          inChunks(bytes.subarray(index * partSize, (index + 1) * partSize)),
        ),
      ),
    )
    return { multipartId, parts }
  }

  describe(`the ${name} store`, () => {
    const isIdentified = options.etagsIdentifyBytes ?? true
    it(`gives ${isIdentified ? 'equal bytes equal ETags, and different bytes different ones' : 'every write of a part an ETag of its own'}`, async () => {
      const { store } = await open()
      const key = newKey()
      const multipartId = await store.createMultipart(key, { ...metadata, partSize })
      const write = (bytes: Buffer) => store.uploadPart(key, multipartId, 1, inChunks(bytes))
      const bytes = randomBytes(partSize)

      const [first, other, again] = [await write(bytes), await write(randomBytes(partSize)), await write(bytes)]

      expect(again.etag === first.etag).toBe(isIdentified)
      expect([first.etag, again.etag]).not.toContain(other.etag)
      await store.abortMultipart(key, multipartId)
    })

    it.each([
      ['one byte', 1],
      ['a part less one byte', partSize - 1],
      ['a part', partSize],
      ['a part and a byte', partSize + 1],
      ['three parts and a bit', 3 * partSize + 17],
    ])('makes an object of %s from its parts', async (_, size) => {
      const { store, openMultiparts } = await open()
      const key = newKey()
      const bytes = randomBytes(size)

      const { multipartId, parts } = await writeObject(store, key, bytes)
      const info = await store.completeMultipart(key, multipartId, parts)

      expect(info.size).toBe(size)
      expect((await readAll(store, key)).equals(bytes)).toBe(true)
      expect(await openMultiparts()).toBe(0)
    })

    it('returns the same when a multipart upload is completed twice', async () => {
      const { store } = await open()
      const key = newKey()
      const { multipartId, parts } = await writeObject(store, key, randomBytes(partSize + 1))

      const once = await store.completeMultipart(key, multipartId, parts)
      const again = await store.completeMultipart(key, multipartId, parts)

      expect(again).toEqual(once)
      expect(await store.stat(key)).toEqual(once)
    })

    it('replaces a part that is written again', async () => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(partSize + 5)
      const { multipartId, parts } = await writeObject(store, key, bytes)
      const other = randomBytes(partSize)

      const first = await store.uploadPart(key, multipartId, 1, inChunks(other))
      await store.completeMultipart(key, multipartId, [first, parts[1]!])

      expect((await readAll(store, key)).equals(Buffer.concat([other, bytes.subarray(partSize)]))).toBe(true)
    })

    it.runIf(options.completesPrefixOfParts ?? true)('leaves out a stored part that is not listed', async () => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(2 * partSize)
      const { multipartId, parts } = await writeObject(store, key, bytes)
      await store.uploadPart(key, multipartId, 3, inChunks(randomBytes(9)))

      await store.completeMultipart(key, multipartId, parts)

      expect((await readAll(store, key)).equals(bytes)).toBe(true)
    })

    it('removes all parts at an abort, which may be repeated', async () => {
      const { store, openMultiparts } = await open()
      const key = newKey()
      const { multipartId, parts } = await writeObject(store, key, randomBytes(partSize + 1))

      await store.abortMultipart(key, multipartId)
      await store.abortMultipart(key, multipartId)

      expect(await openMultiparts()).toBe(0)
      await expect(store.completeMultipart(key, multipartId, parts)).rejects.toBeInstanceOf(NoSuchUpload)
      await expect(store.uploadPart(key, multipartId, 1, inChunks(randomBytes(9)))).rejects.toBeInstanceOf(NoSuchUpload)
      expect(await store.stat(key)).toBeNull()
    })

    it('ignores an abort with a multipart id of another store', async () => {
      const { store } = await open()

      for (const multipartId of ['VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS', `${'0'.repeat(32)}_5_${randomUUID()}`])
        await expect(store.abortMultipart(newKey(), multipartId)).resolves.toBeUndefined()
    })

    it('aborts all multipart uploads of exactly one key', async () => {
      const { store, openMultiparts } = await open()
      const key = newKey()
      await store.createMultipart(key, { ...metadata, partSize })
      await store.createMultipart(key, { ...metadata, partSize })
      const other = await store.createMultipart(`${key}.png`, { ...metadata, partSize })

      await store.abortMultipart(key, null)

      expect(await openMultiparts()).toBe(1)
      await store.abortMultipart(`${key}.png`, other)
    })

    it.each([0, 1, 70_000])('puts an object of %i bytes, and reads it and a range of it', async (size) => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(size)

      const info = await store.put(key, inChunks(bytes), metadata)

      expect(info.size).toBe(size)
      expect(info).toMatchObject((await store.stat(key))!)
      expect((await readAll(store, key)).equals(bytes)).toBe(true)
      if (size > 10) expect((await readAll(store, key, { start: 3, end: 9 })).equals(bytes.subarray(3, 9))).toBe(true)
      expect(await readAll(store, key, { start: 0, end: 0 })).toHaveLength(0)
    })

    it('puts an object whose bytes arrive chunk by chunk', async () => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(200_000)
      const slow: Bytes = {
        size: bytes.length,
        async *chunks() {
          for (let at = 0; at < bytes.length; at += 50_000) {
            await new Promise((resolve) => setImmediate(resolve))
            yield bytes.subarray(at, at + 50_000)
          }
        },
      }

      await store.put(key, slow, metadata)

      expect((await readAll(store, key)).equals(bytes)).toBe(true)
    })

    it.runIf(options.supportsIfNoneMatch ?? true)(
      'refuses to replace an object with one that must be new',
      async () => {
        const { store } = await open()
        const key = newKey()
        const bytes = randomBytes(100)
        await store.put(key, inChunks(bytes), { ...metadata, isNew: true })

        await expect(store.put(key, inChunks(randomBytes(100)), { ...metadata, isNew: true })).rejects.toBeInstanceOf(
          ObjectExists,
        )

        expect((await readAll(store, key)).equals(bytes)).toBe(true)
      },
    )

    it('accepts the same bytes again as a new object, since an answer may have been lost', async () => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(70_000)
      const info = await store.put(key, inChunks(bytes), { ...metadata, isNew: true })

      expect(await store.put(key, inChunks(bytes), { ...metadata, isNew: true })).toMatchObject({ size: info.size })
    })

    it('copies a range of an object into a part', async () => {
      const { store } = await open()
      const [source, key] = [newKey(), newKey()]
      const bytes = randomBytes(2 * partSize + 100)
      const written = await writeObject(store, source, bytes)
      await store.completeMultipart(source, written.multipartId, written.parts)

      const multipartId = await store.createMultipart(key, { ...metadata, partSize })
      const parts = [
        await store.copyPart(key, multipartId, 1, { key: source, start: 50, end: 50 + partSize }),
        await store.copyPart(key, multipartId, 2, { key: source, start: 50 + partSize, end: 60 + partSize }),
      ]
      await store.completeMultipart(key, multipartId, parts)

      expect((await readAll(store, key)).equals(bytes.subarray(50, 60 + partSize))).toBe(true)
    })

    const crc32s = options.crc32s ?? 'none'
    it(`tells the CRC-32 of ${crc32s} ${crc32s === 'none' ? 'of the bytes' : 'bytes'} in receipts of parts and objects`, async () => {
      const { store } = await open()
      const [whole, joined] = [newKey(), newKey()]
      const bytes = randomBytes(partSize)
      const later: Bytes = {
        size: bytes.length,
        async *chunks() {
          yield* inChunks(bytes).chunks()
        },
      }

      const multipartId = await store.createMultipart(joined, { ...metadata, partSize })
      const sent = [
        await store.put(whole, inChunks(bytes), { ...metadata, isNew: true }),
        await store.put(whole, later, { ...metadata, isNew: true }),
        await store.uploadPart(joined, multipartId, 1, inChunks(bytes)),
        await store.uploadPart(joined, multipartId, 1, later),
      ]
      const copied = await store.copyPart(joined, multipartId, 2, { key: whole, start: 7, end: 99 })
      await store.abortMultipart(joined, multipartId)

      expect(sent.map((receipt) => receipt.crc32)).toEqual(Array(4).fill(crc32s === 'none' ? null : crc32(bytes)))
      expect(copied.crc32).toBe(crc32s === 'all' ? crc32(bytes.subarray(7, 99)) : null)
    })

    it('lists and removes objects, and ignores missing ones', async () => {
      const { store } = await open()
      const folder = `lists/${randomUUID()}/`
      const keys = Array.from({ length: 5 }, (_, index) => `${folder}${index}`)
      for (const key of keys) await store.put(key, inChunks(Buffer.from(key)), metadata)

      expect(await listAll(store, folder)).toEqual(keys)
      await store.remove(keys.slice(0, 4))
      await store.remove(keys.slice(0, 4))
      expect(await listAll(store, folder)).toEqual([keys[4]])
      await store.remove([keys[4]!])

      expect(await store.stat(keys[0]!)).toBeNull()
      await expect(readAll(store, keys[0]!)).rejects.toBeInstanceOf(NoSuchKey)
    })

    it.each(['räksmörgås 日本語 😀.png', "a b+c%20d&e=f'g(h)!*~@,;.txt", 'x'.repeat(200)])(
      'stores an object with the name %s',
      async (name) => {
        const { store } = await open()
        const key = `names/${randomUUID()}-${name}`

        await store.put(key, inChunks(Buffer.from('here')), metadata)
        const { multipartId, parts } = await writeObject(store, `${key}2`, randomBytes(partSize + 1))
        await store.completeMultipart(`${key}2`, multipartId, parts)

        expect((await readAll(store, key)).toString()).toBe('here')
        expect(await listAll(store, key)).toEqual([key, `${key}2`])
        await store.remove([key, `${key}2`])
        expect(await store.stat(key)).toBeNull()
      },
    )

    it('passes its check', async () => {
      const { store } = await open()

      await expect(store.check()).resolves.toBeUndefined()
    })
  })
}
