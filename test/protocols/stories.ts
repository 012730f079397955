/*
 * Scenarios that every protocol must pass. A driver translates their steps into requests of one protocol.
 */
import { createHash, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'

/** A client of one protocol. Throws when the server answers with an error. */
export interface Driver {
  /** Creates an upload. @returns its id */
  create(file: { name: string; size: number; type?: string }): Promise<string>
  /** Sends the bytes of `file` from `from` to `to`. A protocol with whole chunks may send a few more. */
  append(id: string, file: Buffer, from?: number, to?: number): Promise<void>
  /** The offset at which the client must resume. */
  offset(id: string): Promise<number>
  /** Takes the protocol's last step after every byte was sent. @returns the state of the upload */
  complete(id: string): Promise<{ state: string }>
  cancel(id: string): Promise<void>
}

/** A server, and clients of two users. */
export interface Stage {
  /** The part size. */
  part: number
  driver: Driver
  otherUser: Driver
  /** The object of a completed upload. */
  objectOf(id: string): Promise<Buffer | undefined>
  /** The keys in the store once the engine has drained, with an entry for each open multipart upload. */
  keys(): Promise<string[]>
}

const sizes: [string, (part: number) => number][] = [
  ['no bytes', () => 0],
  ['one byte', () => 1],
  ['a part minus one byte', (part) => part - 1],
  ['a part', (part) => part],
  ['a part plus one byte', (part) => part + 1],
  ['three parts', (part) => 3 * part],
  ['three parts and 12,345 bytes', (part) => 3 * part + 12_345],
]

/** Registers a test for each scenario, on a stage of `open`. */
export function runScenarios(open: () => Promise<Stage>): void {
  it.each(sizes)('a file of %s is stored as it was sent', async (_, sizeOf) => {
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
    ['small appends', 0.3, 0.015],
    ['appends shorter than a part', 3, 0.6],
    ['appends as long as a part', 3, 1],
    ['appends longer than a part', 3, 1.53],
  ])('a file in %s is stored as it was sent', async (_, whole, each) => {
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

  it('an interrupted client resumes at the offset that the server answers', async () => {
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

  it('an upload is not completed while bytes are missing', async () => {
    const { driver, objectOf, part } = await open()
    const file = randomBytes(3 * part)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 0, Math.round(1.5 * part))

    const outcome = await driver.complete(id).then(
      ({ state }) => state,
      () => 'rejected',
    )

    expect(['receiving', 'rejected']).toContain(outcome)
    expect(await objectOf(id)).toBeUndefined()
  })

  it.each([
    ['an empty upload', 0],
    ['half an upload', 1.5],
    ['a complete upload', 3],
  ])('cancelling %s leaves nothing in the store', async (_, parts) => {
    const { driver, keys, part } = await open()
    const file = randomBytes(3 * part)
    const sent = parts * part
    const id = await driver.create({ name: 'a.bin', size: file.length })
    if (sent > 0) await driver.append(id, file, 0, sent)

    await driver.cancel(id).catch(() => {})
    const isSpared = sent === file.length && (await keys()).length === 1

    // REST spares a complete file; the other protocols delete it.
    if (!isSpared) {
      expect(await keys()).toEqual([])
      await expect(driver.append(id, file)).rejects.toThrow('410')
      // REST repeats its answer to a second cancel; the other protocols answer 410.
      await driver.cancel(id).catch((error: unknown) => expect(String(error)).toContain('410'))
      expect(await keys()).toEqual([])
    }
  })

  it('every request for an upload of another user is 404', async () => {
    const { driver, otherUser, objectOf, part } = await open()
    const file = randomBytes(3 * part)
    const id = await driver.create({ name: 'a.bin', size: file.length })
    await driver.append(id, file, 0, Math.round(1.5 * part))

    // All at once, each with its own expectation: otherwise the first rejection would leave the others unhandled.
    const attempts = [otherUser.append(id, file), otherUser.offset(id), otherUser.complete(id), otherUser.cancel(id)]
    await Promise.all(attempts.map((attempt) => expect(attempt).rejects.toThrow('404')))

    await driver.append(id, file, await driver.offset(id))
    expect((await driver.complete(id)).state).toBe('completed')
    expect(hash(await objectOf(id))).toBe(hash(file))
  })

  it('ten concurrent uploads do not mix their bytes', async () => {
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

    const stored = []
    for (const id of ids) stored.push(hash(await objectOf(id)))
    expect(stored).toEqual(files.map(hash))
  })
}

function hash(bytes: Buffer | undefined): string | undefined {
  return bytes && createHash('sha256').update(bytes).digest('hex')
}
