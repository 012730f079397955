import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type Bytes, NoSuchKey, NoSuchUpload, ObjectExists, type ObjectStore } from '../../src/core/ports.ts'

export interface OpenStore {
  store: ObjectStore
  /** Open multipart uploads, however the store shows them. */
  openMultiparts(): Promise<number>
}

const about = { contentType: 'image/png' }

/** Bytes in chunks as a socket brings them. */
export function inChunks(buffer: Buffer, chunkSize = 65_536): Bytes {
  return {
    size: buffer.length,
    *chunks() {
      for (let at = 0; at < buffer.length; at += chunkSize) yield buffer.subarray(at, at + chunkSize)
    },
  }
}

/** All bytes of an object, or of a range. */
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

/** What every store must do; `partSize` is one that it takes. */
export function storeContract(
  name: string,
  open: () => Promise<OpenStore>,
  partSize: number,
  options: {
    knowsIfNoneMatch?: boolean
    joinsSomeParts?: boolean
    /** Whether the ETag of a part follows from its bytes; where the store encrypts with keys of its own, it need not. */
    etagsTellBytes?: boolean
  } = {},
): void {
  const newKey = () => `creator/ada/20260101/other/${randomUUID()}-a.bin`

  async function writeObject(store: ObjectStore, key: string, bytes: Buffer) {
    const handle = await store.createMultipart(key, { ...about, partSize })
    const count = Math.ceil(bytes.length / partSize)
    const parts = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        store.uploadPart(key, handle, index + 1, inChunks(bytes.subarray(index * partSize, (index + 1) * partSize))),
      ),
    )
    return { handle, parts }
  }

  describe(`the ${name} store`, () => {
    const isTold = options.etagsTellBytes ?? true
    it(`gives ${isTold ? 'the same bytes the same ETag, and others another one' : 'every write of a part an ETag of its own'}`, async () => {
      const { store } = await open()
      const key = newKey()
      const handle = await store.createMultipart(key, { ...about, partSize })
      const write = (bytes: Buffer) => store.uploadPart(key, handle, 1, inChunks(bytes))
      const bytes = randomBytes(partSize)

      const [first, other, again] = [await write(bytes), await write(randomBytes(partSize)), await write(bytes)]

      expect(again.etag === first.etag).toBe(isTold)
      expect([first.etag, again.etag]).not.toContain(other.etag)
      await store.abortMultipart(key, handle)
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

      const { handle, parts } = await writeObject(store, key, bytes)
      const info = await store.completeMultipart(key, handle, parts)

      expect(info.size).toBe(size)
      expect((await readAll(store, key)).equals(bytes)).toBe(true)
      expect(await openMultiparts()).toBe(0)
    })

    it('is asked to finish once more, and says the same', async () => {
      const { store } = await open()
      const key = newKey()
      const { handle, parts } = await writeObject(store, key, randomBytes(partSize + 1))

      const once = await store.completeMultipart(key, handle, parts)
      const again = await store.completeMultipart(key, handle, parts)

      expect(again).toEqual(once)
      expect(await store.stat(key)).toEqual(once)
    })

    it('replaces a part that is written again', async () => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(partSize + 5)
      const { handle, parts } = await writeObject(store, key, bytes)
      const other = randomBytes(partSize)

      const first = await store.uploadPart(key, handle, 1, inChunks(other))
      await store.completeMultipart(key, handle, [first, parts[1]!])

      expect((await readAll(store, key)).equals(Buffer.concat([other, bytes.subarray(partSize)]))).toBe(true)
    })

    it.runIf(options.joinsSomeParts ?? true)('leaves out a last part that was written and not recorded', async () => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(2 * partSize)
      const { handle, parts } = await writeObject(store, key, bytes)
      await store.uploadPart(key, handle, 3, inChunks(randomBytes(9)))

      await store.completeMultipart(key, handle, parts)

      expect((await readAll(store, key)).equals(bytes)).toBe(true)
    })

    it('forgets everything at an abort, and may be asked twice', async () => {
      const { store, openMultiparts } = await open()
      const key = newKey()
      const { handle, parts } = await writeObject(store, key, randomBytes(partSize + 1))

      await store.abortMultipart(key, handle)
      await store.abortMultipart(key, handle)

      expect(await openMultiparts()).toBe(0)
      await expect(store.completeMultipart(key, handle, parts)).rejects.toBeInstanceOf(NoSuchUpload)
      await expect(store.uploadPart(key, handle, 1, inChunks(randomBytes(9)))).rejects.toBeInstanceOf(NoSuchUpload)
      expect(await store.stat(key)).toBeNull()
    })

    it('has nothing to abort under a handle of another store', async () => {
      const { store } = await open()

      for (const handle of ['VXBsb2FkIElEIGZvciA2aWWpbmcncyBteS1tb3ZpZS', `${'0'.repeat(32)}_5_${randomUUID()}`])
        await expect(store.abortMultipart(newKey(), handle)).resolves.toBeUndefined()
    })

    it('aborts whatever was begun for exactly one key', async () => {
      const { store, openMultiparts } = await open()
      const key = newKey()
      await store.createMultipart(key, { ...about, partSize })
      await store.createMultipart(key, { ...about, partSize })
      const neighbour = await store.createMultipart(`${key}.png`, { ...about, partSize })

      await store.abortMultipart(key, null)

      expect(await openMultiparts()).toBe(1)
      await store.abortMultipart(`${key}.png`, neighbour)
    })

    it.each([0, 1, 70_000])('writes %i bytes at once, and reads them and ranges of them', async (size) => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(size)

      const info = await store.put(key, inChunks(bytes), about)

      expect(info.size).toBe(size)
      expect(await store.stat(key)).toEqual(info)
      expect((await readAll(store, key)).equals(bytes)).toBe(true)
      if (size > 10) expect((await readAll(store, key, { start: 3, end: 9 })).equals(bytes.subarray(3, 9))).toBe(true)
      expect(await readAll(store, key, { start: 0, end: 0 })).toHaveLength(0)
    })

    it('writes bytes that come from somewhere else, piece by piece', async () => {
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

      await store.put(key, slow, about)

      expect((await readAll(store, key)).equals(bytes)).toBe(true)
    })

    it.runIf(options.knowsIfNoneMatch ?? true)(
      'does not let a latecomer replace what is there when it says that it is new',
      async () => {
        const { store } = await open()
        const key = newKey()
        const bytes = randomBytes(100)
        await store.put(key, inChunks(bytes), { ...about, isNew: true })

        await expect(store.put(key, inChunks(randomBytes(100)), { ...about, isNew: true })).rejects.toBeInstanceOf(
          ObjectExists,
        )

        expect((await readAll(store, key)).equals(bytes)).toBe(true)
      },
    )

    it('takes the same bytes again as what is new, for an answer may have been lost', async () => {
      const { store } = await open()
      const key = newKey()
      const bytes = randomBytes(70_000)
      const info = await store.put(key, inChunks(bytes), { ...about, isNew: true })

      expect(await store.put(key, inChunks(bytes), { ...about, isNew: true })).toMatchObject({ size: info.size })
    })

    it('makes a part of bytes that it has', async () => {
      const { store } = await open()
      const [source, key] = [newKey(), newKey()]
      const bytes = randomBytes(2 * partSize + 100)
      const made = await writeObject(store, source, bytes)
      await store.completeMultipart(source, made.handle, made.parts)

      const handle = await store.createMultipart(key, { ...about, partSize })
      const parts = [
        await store.copyPart(key, handle, 1, { key: source, start: 50, end: 50 + partSize }),
        await store.copyPart(key, handle, 2, { key: source, start: 50 + partSize, end: 60 + partSize }),
      ]
      await store.completeMultipart(key, handle, parts)

      expect((await readAll(store, key)).equals(bytes.subarray(50, 60 + partSize))).toBe(true)
    })

    it('removes and lists, and finds nothing missing at what is not there', async () => {
      const { store } = await open()
      const folder = `lists/${randomUUID()}/`
      const keys = Array.from({ length: 5 }, (_, index) => `${folder}${index}`)
      for (const key of keys) await store.put(key, inChunks(Buffer.from(key)), about)

      expect(await listAll(store, folder)).toEqual(keys)
      await store.remove(keys.slice(0, 4))
      await store.remove(keys.slice(0, 4))
      expect(await listAll(store, folder)).toEqual([keys[4]])
      await store.remove([keys[4]!])

      expect(await store.stat(keys[0]!)).toBeNull()
      await expect(readAll(store, keys[0]!)).rejects.toBeInstanceOf(NoSuchKey)
    })

    it.each(['räksmörgås 日本語 😀.png', "a b+c%20d&e=f'g(h)!*~@,;.txt", 'x'.repeat(200)])(
      'keeps an object under the name %s',
      async (name) => {
        const { store } = await open()
        const key = `names/${randomUUID()}-${name}`

        await store.put(key, inChunks(Buffer.from('here')), about)
        const { handle, parts } = await writeObject(store, `${key}2`, randomBytes(partSize + 1))
        await store.completeMultipart(`${key}2`, handle, parts)

        expect((await readAll(store, key)).toString()).toBe('here')
        expect(await listAll(store, key)).toEqual([key, `${key}2`])
        await store.remove([key, `${key}2`])
        expect(await store.stat(key)).toBeNull()
      },
    )

    it('answers when it is well', async () => {
      const { store } = await open()

      await expect(store.check()).resolves.toBeUndefined()
    })
  })
}
