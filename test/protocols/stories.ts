/*
 * What happens to files, told once and lived through in every protocol. A driver says a story's sentences in one of them.
 */
import { createHash, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'

/** A client of one protocol. What is refused is thrown. */
export interface Driver {
  /** Begins an upload and tells its id. */
  create(file: { name: string; size: number; type?: string }): Promise<string>
  /** Sends of `file` what lies between `from` and `to`; a protocol of whole chunks may send a little more. */
  append(id: string, file: Buffer, from?: number, to?: number): Promise<void>
  /** Bytes that need not be sent again. */
  offset(id: string): Promise<number>
  /** Does what the protocol does when every byte was sent, and tells what became of the upload. */
  complete(id: string): Promise<{ state: string }>
  cancel(id: string): Promise<void>
}

/** A server, and clients of two users. */
export interface Stage {
  driver: Driver
  stranger: Driver
  /** The bytes of a finished upload. */
  objectOf(id: string): Promise<Buffer | undefined>
  /** What lies in the store when all is quiet. */
  keys(): Promise<string[]>
}

const part = 64 * 1024
const sizes = [1, part - 1, part, part + 1, 3 * part, 3 * part + 12_345]

/** Tells the stories on stages that `open` sets up; parts must have 64 KiB. */
export function tellStories(open: () => Promise<Stage>): void {
  it.each([0, ...sizes])('a file of %d bytes arrives as it was sent', async (size) => {
    const { driver, objectOf, keys } = await open()
    const file = randomBytes(size)
    const id = await driver.create({ name: 'a.bin', size })

    if (size > 0) await driver.append(id, file)
    const { state } = await driver.complete(id)

    expect(state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
    expect(await keys()).toHaveLength(1)
  })

  it.each([
    [20_000, 1_000],
    [200_000, 40_000],
    [200_000, part],
    [200_000, 100_001],
  ])('a file of %d bytes sent in pieces of %d arrives', async (size, piece) => {
    const { driver, objectOf, keys } = await open()
    const file = randomBytes(size)
    const id = await driver.create({ name: 'a.bin', size })

    for (let from = 0; from < size; from += piece) await driver.append(id, file, from, Math.min(from + piece, size))

    expect((await driver.complete(id)).state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
    expect(await keys()).toHaveLength(1)
  })

  it('who was interrupted asks for the offset and goes on there', async () => {
    const { driver, objectOf } = await open()
    const file = randomBytes(250_000)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    const offsets = [await driver.offset(id)]
    for (const to of [10_000, 90_001, 200_002]) {
      await driver.append(id, file, offsets.at(-1), to)
      offsets.push(await driver.offset(id))
    }

    await driver.append(id, file, offsets.at(-1))

    expect(offsets[0]).toBe(0)
    expect(offsets.slice(1).every((offset, index) => offset >= [10_000, 90_001, 200_002][index]!)).toBe(true)
    expect((await driver.complete(id)).state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
  })

  it('a file is not called whole while bytes are missing', async () => {
    const { driver, objectOf } = await open()
    const file = randomBytes(200_000)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 0, 100_000)

    const said = await driver.complete(id).then(
      ({ state }) => state,
      () => 'refused',
    )

    expect(['receiving', 'refused']).toContain(said)
    expect(await objectOf(id)).toBeUndefined()
  })

  it.each([
    ['has only begun', 0],
    ['is half sent', 100_000],
    ['has arrived', 200_000],
  ])('an upload that %s is given up, and leaves nothing', async (_, sent) => {
    const { driver, keys } = await open()
    const file = randomBytes(200_000)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    if (sent > 0) await driver.append(id, file, 0, sent)

    await driver.cancel(id).catch(() => {})
    const isSpared = sent === file.length && (await keys()).length === 1

    // REST spares what has arrived; the others take it away.
    if (!isSpared) {
      expect(await keys()).toEqual([])
      await expect(driver.append(id, file)).rejects.toThrow('410')
      await expect(driver.cancel(id)).rejects.toThrow('410')
    }
  })

  it('a stranger finds no upload of another', async () => {
    const { driver, stranger, objectOf } = await open()
    const file = randomBytes(200_000)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 0, 100_000)

    for (const attempt of [stranger.append(id, file), stranger.offset(id), stranger.complete(id), stranger.cancel(id)])
      await expect(attempt).rejects.toThrow('404')

    await driver.append(id, file, await driver.offset(id))
    expect((await driver.complete(id)).state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
  })

  it('ten files on their way at once do not meet', async () => {
    const { driver, objectOf } = await open()
    const files = Array.from({ length: 10 }, (_, index) => randomBytes(50_000 + 17_000 * index))

    const ids = await Promise.all(
      files.map(async (file) => {
        const id = await driver.create({ name: 'same-name.bin', size: file.length })
        await driver.append(id, file, 0, 30_000)
        await driver.append(id, file, await driver.offset(id))
        await driver.complete(id)
        return id
      }),
    )

    const arrived = []
    for (const id of ids) arrived.push(hash(await objectOf(id)))
    expect(arrived).toEqual(files.map(hash))
  })
}

function hash(bytes: Buffer | undefined): string | undefined {
  return bytes && createHash('sha256').update(bytes).digest('hex')
}
