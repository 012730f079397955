import { createHash } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Digest, RunningEngine } from '../../../src/core/engine.ts'
import type { EngineOptions } from '../../../src/core/engine-options.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import { defaultPolicies, type Policy } from '../../../src/core/policy/policy.ts'
import { contentRules } from '../../../src/core/policy/rules/index.ts'
import type { Upload } from '../../../src/core/upload.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { sniff, sniffLength } from '../../../src/media/sniff.ts'
import { bytes, declared, gif, html, jpeg, noise, png, real, svgWithScript } from '../../media/built.ts'
import { finalOf } from '../../support/final-of.ts'
import { type MemoryStore, unavailable } from '../../support/memory-store.ts'
import { ada, bodyOf, brokenBody, openEngine } from '../../support/open-engine.ts'
import { until } from '../../support/until.ts'

const content = { sniff, sniffLength, rules: contentRules }
const partSize = 8192

/** An engine with the content check, for a user who may send only `mediaTypes`. */
async function openChecking(
  mediaTypes: string[] = ['*/*'],
  policy: Partial<Policy> = {},
  overrides: Partial<EngineOptions> = {},
) {
  const { creator } = defaultPolicies.roles
  const policies = { ...defaultPolicies, roles: { creator: { ...creator, mediaTypes, ...policy } } }
  return openEngine({ contentCheck: content, partSize, policies: () => policies, ...overrides })
}

const creation = (contentType: string, size: number | null, filename = 'a.bin') => ({
  size,
  filename,
  contentType,
})

async function send(engine: RunningEngine, contentType: string, whole: Buffer): Promise<Upload> {
  const { id } = await engine.create(ada, creation(contentType, whole.length))
  return engine.append(ada, id, { offset: 0, body: bodyOf(whole), bodySize: whole.length, ending: 'at-size' })
}

function append(engine: RunningEngine, id: string, offset: number, chunk: Buffer, digest?: Digest): Promise<Upload> {
  return engine.append(ada, id, { offset, body: bodyOf(chunk), bodySize: chunk.length, ending: 'at-size', digest })
}

/** A file that starts with `prefix`. */
const long = (prefix: Buffer, size = 3 * partSize + 5) =>
  Buffer.concat([prefix, noise(Math.max(0, size - prefix.length))])

const spoofs = declared.filter(
  ([, , contentType, taken]) => taken !== contentType && contentType !== 'application/octet-stream',
)

describe('a file that is not of its declared type', () => {
  it.each(spoofs.map(([name, file, contentType]) => [name, contentType, file] as const))(
    '(%s, declared as %s) is refused, and no byte of it reaches the store',
    async (_name, contentType, file) => {
      const { engine, store } = await openChecking([contentType])
      const { id } = await engine.create(ada, creation(contentType, file.length))

      await expect(append(engine, id, 0, file)).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED', status: 415 })

      expect(store.calls).toEqual([])
      await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_LOST', status: 410 })
      expect(await engine.get(ada, id)).toMatchObject({ state: 'failed', failure: 'type' })
    },
  )

  it('is refused as soon as its first bytes have arrived', async () => {
    const { engine, store } = await openChecking(['image/*'])
    const { id } = await engine.create(ada, creation('image/png', 10 * partSize))

    await expect(append(engine, id, 0, long(bytes(html), sniffLength))).rejects.toMatchObject({
      code: 'TYPE_NOT_ALLOWED',
    })

    expect(store.calls).toEqual([])
  })

  it('is refused with its last byte when it is sent one byte at a time', async () => {
    const { engine, store } = await openChecking(['image/*'])
    const whole = bytes(html)
    const { id } = await engine.create(ada, creation('image/png', whole.length))

    for (let offset = 0; offset < whole.length - 1; offset += 1)
      expect((await append(engine, id, offset, whole.subarray(offset, offset + 1))).offset).toBe(offset + 1)
    const last = append(engine, id, whole.length - 1, whole.subarray(-1))

    await expect(last).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
    expect(store.calls).toEqual([])
  })

  it('is refused at its end when its length was unknown', async () => {
    const { engine, store } = await openChecking(['image/*'])
    const { id } = await engine.create(ada, creation('image/png', null))
    await append(engine, id, 0, bytes('<html>'))

    const end = engine.append(ada, id, { offset: 6, body: bodyOf([]), bodySize: 0, ending: 'with-body' })

    await expect(end).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
    expect(store.calls).toEqual([])
  })

  it('gets its detected type when the user may send that', async () => {
    const { engine, store } = await openChecking()

    const upload = await send(engine, 'image/png', long(real('samples/note.pdf')))

    expect(upload).toMatchObject({ state: 'completed', contentType: 'application/pdf', category: 'document' })
    expect(upload.key).toContain('/document/')
    expect(store.metadata.get(upload.key)).toMatchObject({ contentType: 'application/pdf' })
    expect([...store.objects.keys()]).toEqual([upload.key])
  })

  it('is refused when only its category is not allowed', async () => {
    const { engine } = await openChecking(['*/*'], { categories: ['image'] })

    await expect(send(engine, 'image/png', bytes(html))).rejects.toMatchObject({ code: 'CATEGORY_NOT_ALLOWED' })
  })
})

describe('a file without a declared type', () => {
  it.each([
    ['a picture', png, 'image/png', 'image'],
    ['text', bytes('Landfall'), 'text/plain', 'document'],
    ['unknown data', noise(5000), 'application/octet-stream', 'other'],
  ])('is recognized as %s by its first bytes', async (_name, whole, contentType, category) => {
    const { engine, store } = await openChecking()

    const upload = await send(engine, '', whole)

    expect(upload).toMatchObject({ contentType, category, state: 'completed' })
    expect(upload.key).toContain(`/${category}/`)
    expect(store.metadata.get(upload.key)).toMatchObject({ contentType })
  })

  it('may be created by users of some types, and is refused when it is of another', async () => {
    const { engine } = await openChecking(['image/*'], { categories: ['image'] })

    expect((await send(engine, '', png)).state).toBe('completed')
    await expect(send(engine, '', noise(100))).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
    await expect(send(engine, '', Buffer.alloc(0))).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
  })

  it('must match its declared category', async () => {
    const { engine } = await openChecking()
    const { id } = await engine.create(ada, { ...creation('', png.length), category: 'document' })

    await expect(append(engine, id, 0, png)).rejects.toMatchObject({ code: 'CATEGORY_NOT_ALLOWED' })
  })
})

describe('the first bytes', () => {
  it.each([1, 7, 1000])('are durable after each request of %i bytes, and end up in the object', async (size) => {
    const { engine, store, database } = await openChecking(['image/jpeg'])
    const whole = long(jpeg.subarray(0, 700))
    const { id } = await engine.create(ada, creation('image/jpeg', whole.length))

    for (let offset = 0; offset < 3 * size; offset += size) {
      await append(engine, id, offset, whole.subarray(offset, offset + size))
      expect(store.calls).toEqual([])
      const { engine: other } = await openEngine({ contentCheck: content, partSize, store, database })
      expect((await other.status(ada, id)).offset).toBe(offset + size)
    }
    const upload = await append(engine, id, 3 * size, whole.subarray(3 * size))

    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/jpeg' })
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
    expect([...store.objects.keys()]).toEqual([upload.key])
    expect(await prefixOf(database, id)).toBeNull()
  })

  it('end up in the object when they are sent one byte at a time', async () => {
    const { engine, store } = await openChecking()
    const whole = gif.subarray(0, 150)
    const { id } = await engine.create(ada, creation('image/gif', whole.length))

    let upload: Upload | null = null
    for (let offset = 0; offset < whole.length; offset += 1)
      upload = await append(engine, id, offset, whole.subarray(offset, offset + 1))

    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/gif' })
    expect(store.objects.get(upload!.key)?.equals(whole)).toBe(true)
    expect(store.calls).toEqual(['put'])
  })

  it('are kept when the connection breaks between them', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)
    const { id } = await engine.create(ada, creation('image/png', whole.length))

    await engine.append(ada, id, {
      offset: 0,
      body: brokenBody(whole.subarray(0, 100)),
      bodySize: whole.length,
      ending: 'at-size',
    })

    expect((await engine.status(ada, id)).offset).toBe(100)
    expect(store.calls).toEqual([])
    expect((await append(engine, id, 100, whole.subarray(100))).state).toBe('completed')
  })

  it('are kept, up to the length that is checked, when the database fails', async () => {
    const { engine, store, database } = await openChecking()
    const whole = long(png)
    const { id } = await engine.create(ada, creation('', whole.length))
    let failures = 0
    const uploads = uploadRepository(database)
    const unreliable = await openEngine({
      contentCheck: content,
      partSize,
      store,
      uploads: {
        ...uploads,
        async save(upload, fence, patch) {
          // The detected type cannot be recorded; the bytes can.
          if (patch.contentType && failures++ < 1) throw new UploadError('DATABASE_ERROR', 'down')
          return uploads.save(upload, fence, patch)
        },
      },
    })

    await expect(append(unreliable.engine, id, 0, whole)).rejects.toMatchObject({ code: 'DATABASE_ERROR' })

    expect((await engine.status(ada, id)).offset).toBe(sniffLength)
    expect(store.calls).toEqual([])
    const upload = await append(engine, id, sniffLength, whole.subarray(sniffLength))
    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/png' })
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('of another file do not overwrite an object whose PUT had no answer', async () => {
    const { engine, store } = await openChecking()
    const { id } = await engine.create(ada, creation('', null))
    const sendAs = (whole: Buffer) =>
      engine.append(ada, id, { offset: 0, body: bodyOf(whole), bodySize: null, ending: 'with-body' })
    store.fault = (call, at) => {
      if (call === 'put' && at === 'after') throw unavailable()
    }
    await expect(sendAs(png)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}
    expect(store.objects.size).toBe(1)

    const upload = await sendAs(real('samples/note.pdf'))

    expect(upload).toMatchObject({ state: 'completed', contentType: 'application/pdf', category: 'document' })
    expect(store.objects.get(upload.key)).toEqual(real('samples/note.pdf'))
    expect(store.objects.size).toBe(2)
  })

  it('of another file do not overwrite an object that could not be read for its digest', async () => {
    const { engine, store } = await openChecking()
    const digests = { expected: {}, wanted: ['sha-256' as const] }
    const { id } = await engine.create(ada, { ...creation('', 1000), digests })
    const whole = long(png, 1000)
    await append(engine, id, 0, whole.subarray(0, 3))
    store.fault = (call) => {
      if (call === 'read') throw unavailable()
    }
    await expect(append(engine, id, 3, whole.subarray(3))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}

    const upload = await append(engine, id, 3, noise(997))
    await engine.drained()

    expect(upload).toMatchObject({ state: 'completed', contentType: 'application/octet-stream' })
    expect([...store.objects.values()]).toContainEqual(whole)
  })

  it('leave nothing behind when the upload is cancelled', async () => {
    const { engine, store, database } = await openChecking()
    const { id } = await engine.create(ada, creation('image/png', 5000))
    await append(engine, id, 0, png.subarray(0, 50))

    await engine.cancel(ada, id)

    expect(store.objects.size).toBe(0)
    expect(await prefixOf(database, id)).not.toBeUndefined()
  })

  it('are accepted by an engine without the content check', async () => {
    const { engine, store, database } = await openChecking(['image/*'])
    const whole = bytes(html)
    const { id } = await engine.create(ada, creation('image/png', whole.length))
    await append(engine, id, 0, whole.subarray(0, 10))

    const { engine: unchecked } = await openEngine({ partSize, store, database })
    const upload = await append(unchecked, id, 10, whole.subarray(10))

    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/png' })
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('of an empty file do not contradict its declared type', async () => {
    const { engine } = await openChecking(['image/png'])

    const upload = await engine.create(ada, creation('image/png', 0))

    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/png' })
  })

  it('of a page or an SVG make the store serve it as an attachment', async () => {
    const { engine, store } = await openChecking()

    const page = await send(engine, 'text/html', bytes(html))
    const drawing = await send(engine, 'image/svg+xml', bytes(svgWithScript))
    const large = await send(engine, 'text/html', long(bytes(html)))

    expect([page.contentType, drawing.contentType]).toEqual(['text/html', 'image/svg+xml'])
    const attachment = { contentType: 'application/octet-stream', isAttachment: true }
    expect(store.metadata.get(page.key)).toMatchObject(attachment)
    expect(store.metadata.get(large.key)).toMatchObject(attachment)
    expect(store.metadata.get(drawing.key)).toMatchObject(attachment)
  })
})

describe('under a checksum', () => {
  const sha = (whole: Buffer, expected: string): Digest => {
    const hash = createHash('sha1')
    return {
      update: (chunk) => void hash.update(chunk),
      verify() {
        if (hash.digest('hex') !== expected) throw new UploadError('CHECKSUM_MISMATCH', `not ${whole.length} bytes`)
      },
    }
  }
  const sum = (whole: Buffer) => createHash('sha1').update(whole).digest('hex')

  it('corrupted bytes do not fail the upload', async () => {
    const { engine, store } = await openChecking(['image/*'])
    const whole = long(png)
    const corrupted = Buffer.concat([bytes(html), whole.subarray(html.length)])
    const { id } = await engine.create(ada, creation('image/png', whole.length))

    const refused = append(engine, id, 0, corrupted, sha(corrupted, sum(whole)))
    await expect(refused).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })

    expect(store.calls).toEqual([])
    expect((await engine.status(ada, id)).offset).toBe(0)
    expect((await append(engine, id, 0, whole, sha(whole, sum(whole)))).state).toBe('completed')
  })

  it('corrupted bytes do not change the type of the file', async () => {
    const { engine } = await openChecking(['text/csv'])
    const whole = Buffer.from('name,size\n'.repeat(500))
    const { id, key } = await engine.create(ada, creation('text/csv', whole.length, 'a.csv'))
    const corrupted = Buffer.concat([png, whole.subarray(png.length)])

    await expect(append(engine, id, 0, corrupted, sha(corrupted, sum(whole)))).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
    })
    const upload = await append(engine, id, 0, whole, sha(whole, sum(whole)))

    expect(upload).toMatchObject({ state: 'completed', contentType: 'text/csv', key })
  })

  it('a page declared as a picture is refused', async () => {
    const { engine, store } = await openChecking(['image/*'])
    const whole = long(bytes(html))
    const { id } = await engine.create(ada, creation('image/png', whole.length))

    const refused = append(engine, id, 0, whole, sha(whole, sum(whole)))

    await expect(refused).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
    expect(store.calls).toEqual([])
  })
})

describe('a body that is longer than its file', () => {
  const pdf = real('samples/note.pdf')

  /** An engine that stores parts with a number of `held` and above only when the body has turned out to be too long. */
  async function openHolding(held: (number: number) => boolean, partSize: number) {
    const tooLong = Promise.withResolvers<void>()
    const onBody = (end: string) => (end === 'too-long' ? tooLong.resolve() : undefined)
    const opened = await openChecking(['*/*'], {}, { partSize, onBody, bodyIdleMs: 0 })
    const { uploadPart } = opened.store
    opened.store.uploadPart = async (key, multipartId, number, bytes) => {
      if (held(number)) await tooLong.promise
      return uploadPart(key, multipartId, number, bytes)
    }
    return opened
  }

  /** Appends `whole` from `offset` on, then, when `isRecorded` is true of the row, a byte too many. */
  async function overrun(
    { engine, database }: Awaited<ReturnType<typeof openChecking>>,
    id: string,
    { offset, whole }: { offset: number; whole: Buffer },
    isRecorded: (row: { multipart_id: string | null; prefix: Buffer | null }) => boolean,
  ): Promise<void> {
    const body = new PassThrough()
    const refused = engine.append(ada, id, { offset, body, bodySize: null, ending: 'at-size' })
    refused.catch(() => {})
    body.write(whole.subarray(offset))
    const find = { name: 'test-stored', text: 'select multipart_id, prefix from upload_sessions where id = $1' }
    await until(async () => {
      const [row] = await database.query<Parameters<typeof isRecorded>[0]>(find, [id])
      return isRecorded(row!)
    })
    body.end(Buffer.from('x'))
    await expect(refused).rejects.toMatchObject({ facts: { overflow: true } })
  }

  it('does not take the type back under which its multipart upload was recorded', async () => {
    const opened = await openHolding((number) => number === 1, partSize)
    const { engine, store } = opened
    const whole = long(pdf, 2 * partSize + 100)
    const { id } = await engine.create(ada, creation('image/png', whole.length))

    await overrun(opened, id, { offset: 0, whole }, ({ multipart_id }) => multipart_id !== null)

    expect(await engine.get(ada, id)).toMatchObject({ offset: 0, contentType: 'application/pdf', category: 'document' })
    const upload = await append(engine, id, 0, whole)
    expect(upload).toMatchObject({ state: 'completed', contentType: 'application/pdf' })
    expect(store.metadata.get(upload.key)).toMatchObject({ contentType: 'application/pdf' })
  })

  it('does not take the type back of first bytes that went from the row to the store', async () => {
    const opened = await openHolding((number) => number > 1, 1000)
    const { engine } = opened
    const whole = long(pdf, sniffLength + 300)
    const { id } = await engine.create(ada, creation('image/png', whole.length))
    await append(engine, id, 0, whole.subarray(0, 1000))

    await overrun(opened, id, { offset: 1000, whole }, ({ prefix }) => prefix === null)

    expect(await engine.get(ada, id)).toMatchObject({ offset: 1000, contentType: 'application/pdf' })
    expect(await append(engine, id, 1000, whole.subarray(1000))).toMatchObject({
      state: 'completed',
      contentType: 'application/pdf',
    })
  })

  it('says nothing of the type while no byte of the file is stored', async () => {
    const { engine } = await openChecking()
    const { id, key } = await engine.create(ada, creation('image/png', sniffLength + 300))
    const body = bodyOf(long(pdf, sniffLength + 301))

    const refused = engine.append(ada, id, { offset: 0, body, bodySize: null, ending: 'at-size' })

    await expect(refused).rejects.toMatchObject({ facts: { overflow: true } })
    expect(await engine.get(ada, id)).toMatchObject({ offset: 0, contentType: 'image/png', category: 'image', key })
  })
})

describe('numbered parts', () => {
  async function createParted(engine: RunningEngine, contentType: string, whole: Buffer) {
    const { id } = await engine.create(ada, {
      ...creation(contentType, whole.length),
      kind: 'parted',
      ending: 'later',
    })
    const write = (number: number, from: Buffer = whole) => {
      const chunk = from.subarray((number - 1) * partSize, number * partSize)
      return engine.uploadPart(ada, id, { number, body: bodyOf(chunk), bodySize: chunk.length })
    }
    return { id, write }
  }

  it('determine the type of the file with the first one', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)
    const { id, write } = await createParted(engine, '', whole)

    for (const number of [1, 4, 2, 3]) await write(number)
    const upload = await engine.complete(ada, id)

    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/png', category: 'image' })
    expect(upload.key).toContain('/image/')
    expect(store.metadata.get(upload.key)).toMatchObject({ contentType: 'image/png' })
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('may arrive in reverse, when the first one matches the declared type', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)
    const { id, write } = await createParted(engine, 'image/png', whole)

    for (const number of [4, 3, 2, 1]) await write(number)
    const upload = await engine.complete(ada, id)

    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/png' })
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('in reverse, of an unknown type, keep their declared type', async () => {
    const { engine, store } = await openChecking()
    const { id, write } = await createParted(engine, 'video/mp4', noise(3 * partSize + 5))

    for (const number of [4, 3, 2, 1]) await write(number)
    const upload = await engine.complete(ada, id)

    expect(upload).toMatchObject({ contentType: 'video/mp4', category: 'video' })
    expect(upload.key.split('/')[3]).toBe('video')
    expect(store.metadata.get(upload.key)).toMatchObject({ contentType: 'video/mp4' })
  })

  it('in reverse, without a declared type, make an object of an unknown type', async () => {
    const { engine, store } = await openChecking()
    const { id, write } = await createParted(engine, '', long(png))

    for (const number of [4, 3, 2, 1]) await write(number)
    const upload = await engine.complete(ada, id)

    expect(upload).toMatchObject({ state: 'completed', contentType: 'application/octet-stream', category: 'other' })
    expect(upload.key.split('/')[3]).toBe('other')
    expect(store.metadata.get(upload.key)).toMatchObject({
      contentType: 'application/octet-stream',
      isAttachment: true,
    })
  })

  it.each([
    ['first', [1]],
    ['last', [4, 3, 2, 1]],
  ])('are refused when the one that contradicts arrives %s', async (_when, numbers) => {
    const { engine, store } = await openChecking(['image/*'])
    const { id, write } = await createParted(engine, 'image/png', long(bytes(html)))

    for (const number of numbers.slice(0, -1)) await write(number)
    await expect(write(1)).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })

    expect(await engine.get(ada, id)).toMatchObject({ state: 'failed', failure: 'type' })
    await engine.cleanUp(id)
    expect([store.objects.size, store.multiparts.size]).toEqual([0, 0])
    await expect(write(2)).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
  })

  it('that were stored under another type do not become of this one', async () => {
    const { engine } = await openChecking()
    const { write } = await createParted(engine, 'image/png', long(bytes(html)))

    await write(2)

    await expect(write(1)).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
  })

  it('cannot replace the first one by one of another type', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)
    const { id, write } = await createParted(engine, 'image/png', whole)
    for (const number of [1, 2, 3, 4]) await write(number)

    await expect(write(1, long(bytes(html)))).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })

    const upload = await engine.complete(ada, id)
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it.each([
    ['may be sent', '*/*'],
    ['may not be sent', 'image/*'],
  ])('of a type that %s do not fail an upload whose first part is being stored', async (_what, mediaTypes) => {
    const { engine, store } = await openChecking([mediaTypes])
    const whole = long(png)
    const { id, write } = await createParted(engine, 'image/png', whole)
    const storing = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    store.fault = (call, at) => {
      if (call !== 'uploadPart' || at !== 'before') return
      storing.resolve()
      return held.promise
    }
    const picture = write(1)
    await storing.promise

    await expect(write(1, long(bytes(html)))).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
    held.resolve()

    await picture
    for (const number of [2, 3, 4]) await write(number)
    const upload = await engine.complete(ada, id)
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('that race with each other never disagree with the type of the file', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { engine, store } = await openChecking()
      const whole = long(png)
      const page = long(bytes(html))
      const { id, write } = await createParted(engine, '', whole)

      await Promise.allSettled([write(1), write(1, page), write(1), write(1, page)])
      for (const number of [2, 3, 4]) await write(number)
      const upload = await engine.complete(ada, id)

      const isPage = store.objects.get(upload.key)!.subarray(0, html.length).equals(bytes(html))
      expect(upload.contentType).toBe(isPage ? 'text/html' : 'image/png')
    }
  })

  it('replace bytes that were appended', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)
    const { id, write } = await createParted(engine, 'image/png', whole)
    await engine.append(ada, id, { offset: 0, body: bodyOf(png.subarray(0, 9)), bodySize: 9, ending: 'later' })

    for (const number of [1, 2, 3, 4]) await write(number)
    const upload = await engine.complete(ada, id)

    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('replace bytes that were appended, also when an empty append completes the file', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)
    const { id, write } = await createParted(engine, 'image/png', whole)
    await engine.append(ada, id, { offset: 0, body: bodyOf(png.subarray(0, 9)), bodySize: 9, ending: 'later' })
    for (const number of [1, 2, 3, 4]) await write(number)

    const upload = await append(engine, id, whole.length, Buffer.alloc(0))

    expect(upload.state).toBe('completed')
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('that could not be stored do not determine the type of stored bytes', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)
    const { id, write } = await createParted(engine, 'image/png', whole)
    await engine.append(ada, id, { offset: 0, body: bodyOf(whole.subarray(0, 5000)), bodySize: 5000, ending: 'later' })
    store.fault = (call) => {
      if (call === 'createMultipart') throw unavailable()
    }

    await expect(write(1, long(gif))).rejects.toBeInstanceOf(UploadError)
    store.fault = () => {}

    const upload = await append(engine, id, 5000, whole.subarray(5000))
    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/png' })
  })

  it.each([
    ['in the row', 9],
    ['in the store', 5000],
  ])('of another type do not fail an upload whose first bytes are %s', async (_where, size) => {
    const { engine, store } = await openChecking(['image/*'])
    const whole = long(png)
    const { id, write } = await createParted(engine, 'image/png', whole)
    await engine.append(ada, id, { offset: 0, body: bodyOf(whole.subarray(0, size)), bodySize: size, ending: 'later' })

    await expect(write(1, long(bytes(html)))).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })

    expect((await engine.status(ada, id)).offset).toBe(size)
    const upload = await append(engine, id, size, whole.subarray(size))
    expect(upload.state).toBe('completed')
    await engine.drained()
    expect([...store.objects.keys()]).toEqual([upload.key])
  })
})

describe('a file concatenated from partial uploads', () => {
  async function partial(engine: RunningEngine, whole: Buffer): Promise<string> {
    const { id } = await engine.create(ada, { ...creation('', whole.length), isPartial: true })
    await append(engine, id, 0, whole)
    return id
  }
  async function concatenate(engine: RunningEngine, contentType: string, contents: Buffer[]): Promise<Upload> {
    const from: string[] = []
    for (const content of contents) from.push(await partial(engine, content))
    return engine.create(ada, { ...creation(contentType, null), ...finalOf(from) })
  }
  const objectsOf = (store: MemoryStore) => [...store.objects.keys()].filter((key) => !key.startsWith('.landfall/'))

  it('gets the type of its first bytes', async () => {
    const { engine, store } = await openChecking()
    const whole = long(png)

    const upload = await concatenate(engine, '', [whole.subarray(0, 3), whole.subarray(3, 5000), whole.subarray(5000)])

    expect(upload).toMatchObject({ state: 'completed', contentType: 'image/png', category: 'image' })
    expect(upload.key).toContain('/image/')
    expect(store.metadata.get(upload.key)).toMatchObject({ contentType: 'image/png' })
    expect(store.objects.get(upload.key)?.equals(whole)).toBe(true)
  })

  it('is refused when its first bytes are a page', async () => {
    const { engine, store } = await openChecking(['image/*'])
    const whole = long(bytes(html))

    const created = concatenate(engine, 'image/png', [whole.subarray(0, 10), whole.subarray(10)])

    await expect(created).rejects.toMatchObject({ code: 'TYPE_NOT_ALLOWED' })
    expect(objectsOf(store)).toEqual([])
    expect(store.multiparts.size).toBe(0)
  })
})

async function prefixOf(database: Awaited<ReturnType<typeof openEngine>>['database'], id: string) {
  const [row] = await database.query<{ prefix: unknown }>(
    { name: 'test-prefix', text: 'select prefix from upload_sessions where id = $1' },
    [id],
  )
  return row?.prefix
}
