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
  /** The size of parts. */
  part: number
  driver: Driver
  stranger: Driver
  /** The bytes of a finished upload. */
  objectOf(id: string): Promise<Buffer | undefined>
  /** What lies in the store when all is quiet, open multipart uploads too. */
  keys(): Promise<string[]>
}

const sizes: [string, (part: number) => number][] = [
  ['no byte', () => 0],
  ['one byte', () => 1],
  ['a part less one', (part) => part - 1],
  ['a part', (part) => part],
  ['a part and one', (part) => part + 1],
  ['three parts', (part) => 3 * part],
  ['three parts and a bit', (part) => 3 * part + 12_345],
]

/** Tells the stories on stages that `open` sets up. */
export function tellStories(open: () => Promise<Stage>): void {
  it.each(sizes)('a file of %s arrives as it was sent', async (_, sizeOf) => {
    const { driver, objectOf, keys, part } = await open()
    const size = sizeOf(part)
    const file = randomBytes(size)
    const id = await driver.create({ name: 'a.bin', size })

    if (size > 0) await driver.append(id, file)
    const { state } = await driver.complete(id)

    expect(state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
    expect(await keys()).toHaveLength(1)
  })

  it.each([
    ['small pieces', 0.3, 0.015],
    ['pieces below a part', 3, 0.6],
    ['pieces as long as a part', 3, 1],
    ['pieces above a part', 3, 1.53],
  ])('a file in %s arrives', async (_, whole, each) => {
    const { driver, objectOf, keys, part } = await open()
    const size = Math.round(whole * part)
    const chunk = Math.round(each * part)
    const file = randomBytes(size)
    const id = await driver.create({ name: 'a.bin', size })

    for (let from = 0; from < size; from += chunk) await driver.append(id, file, from, Math.min(from + chunk, size))

    expect((await driver.complete(id)).state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
    expect(await keys()).toHaveLength(1)
  })

  it('who was interrupted asks for the offset and goes on there', async () => {
    const { driver, objectOf, part } = await open()
    const file = randomBytes(Math.round(3.8 * part))
    const stops = [0.15, 1.37, 3.05].map((parts) => Math.round(parts * part))
    const id = await driver.create({ name: 'a.bin', size: file.length })
    const offsets = [await driver.offset(id)]
    for (const to of stops) {
      await driver.append(id, file, offsets.at(-1), to)
      offsets.push(await driver.offset(id))
    }

    await driver.append(id, file, offsets.at(-1))

    expect(offsets[0]).toBe(0)
    expect(offsets.slice(1).every((offset, index) => offset >= stops[index]!)).toBe(true)
    expect((await driver.complete(id)).state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
  })

  it('a file is not called whole while bytes are missing', async () => {
    const { driver, objectOf, part } = await open()
    const file = randomBytes(3 * part)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 0, Math.round(1.5 * part))

    const said = await driver.complete(id).then(
      ({ state }) => state,
      () => 'refused',
    )

    expect(['receiving', 'refused']).toContain(said)
    expect(await objectOf(id)).toBeUndefined()
  })

  it.each([
    ['has only begun', 0],
    ['is half sent', 1.5],
    ['has arrived', 3],
  ])('an upload that %s is given up, and leaves nothing', async (_, parts) => {
    const { driver, keys, part } = await open()
    const file = randomBytes(3 * part)
    const sent = parts * part
    const id = await driver.create({ name: 'a.bin', size: file.length })
    if (sent > 0) await driver.append(id, file, 0, sent)

    await driver.cancel(id).catch(() => {})
    const isSpared = sent === file.length && (await keys()).length === 1

    // REST spares what has arrived; the others take it away.
    if (!isSpared) {
      expect(await keys()).toEqual([])
      await expect(driver.append(id, file)).rejects.toThrow('410')
      // REST says once more that it is given up; the others know no such upload.
      await driver.cancel(id).catch((error: unknown) => expect(String(error)).toContain('410'))
      expect(await keys()).toEqual([])
    }
  })

  it('a stranger finds no upload of another', async () => {
    const { driver, stranger, objectOf, part } = await open()
    const file = randomBytes(3 * part)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 0, Math.round(1.5 * part))

    // All at once; every one of them is looked at from its beginning, whichever fails first.
    const attempts = [stranger.append(id, file), stranger.offset(id), stranger.complete(id), stranger.cancel(id)]
    await Promise.all(attempts.map((attempt) => expect(attempt).rejects.toThrow('404')))

    await driver.append(id, file, await driver.offset(id))
    expect((await driver.complete(id)).state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
  })

  it('ten files on their way at once do not meet', async () => {
    const { driver, objectOf, part } = await open()
    const files = Array.from({ length: 10 }, (_, index) => randomBytes(Math.round((0.1 + 0.15 * index) * part)))

    const ids = await Promise.all(
      files.map(async (file) => {
        const id = await driver.create({ name: 'same-name.bin', size: file.length })
        await driver.append(id, file, 0, Math.round(part / 20))
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
