import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { AppendRequest, RunningEngine } from '../../src/core/engine.ts'
import { UploadError } from '../../src/core/errors/error.ts'
import { createMemoryBudget } from '../../src/core/memory/memory-budget.ts'
import { defaultPolicies } from '../../src/core/policy/policy.ts'
import { NoSuchUpload } from '../../src/core/ports/object-store.ts'
import { userOf } from '../../src/core/upload.ts'
import type { Database } from '../../src/db/open.ts'
import { uploadRepository } from '../../src/db/uploads.ts'
import { openLocker } from '../../src/locks/index.ts'
import { taken } from '../support/arrival.ts'
import { countingDatabase } from '../support/counting-database.ts'
import { ada, bodyOf, brokenBody, hungBody, openEngine, testDatabase } from '../support/open-engine.ts'
import { untilDone } from '../support/until.ts'

const creation = (size: number | null) => ({ size, filename: 'notes.txt', contentType: 'text/plain' })
const chunk = (offset: number, bytes: Buffer, more: Partial<AppendRequest> = {}): AppendRequest => ({
  offset,
  body: bodyOf(bytes),
  bodySize: bytes.length,
  ending: 'at-size',
  ...more,
})

async function sendInChunks(engine: RunningEngine, bytes: Buffer, chunkSize: number) {
  let upload = await engine.create(ada, creation(bytes.length))
  for (let at = 0; at < bytes.length; at += chunkSize) {
    upload = await engine.append(ada, upload.id, chunk(upload.offset, bytes.subarray(at, at + chunkSize)))
  }
  return upload
}

/** Whether the sweeper must search the store for orphaned objects of the upload. */
async function needsCleanup(database: Database, id: string): Promise<boolean> {
  const statement = { name: 'test-needs-cleanup', text: 'select needs_cleanup from upload_sessions where id = $1' }
  const [row] = await database.query<{ needs_cleanup: boolean }>(statement, [id])
  return row!.needs_cleanup
}

describe('appending a file', () => {
  it.each([0, 1, 9, 10, 11, 30, 35])('of %i bytes in one request stores exactly those bytes', async (size) => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(size)

    let upload = await engine.create(ada, creation(size))
    if (size > 0) upload = await engine.append(ada, upload.id, chunk(0, bytes))

    expect(upload).toMatchObject({ state: 'completed', offset: size, size })
    expect([...store.objects.entries()]).toEqual([[upload.key, bytes]])
    expect(store.multiparts.size).toBe(0)
  })

  it.each([1, 3, 7, 10, 13, 25])('in requests of %i bytes leaves only the object in the store', async (chunkSize) => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(57)

    const upload = await sendInChunks(engine, bytes, chunkSize)
    await engine.drained()

    expect(upload.state).toBe('completed')
    expect([...store.objects.entries()]).toEqual([[upload.key, bytes]])
    expect(store.multiparts.size).toBe(0)
  })

  it('needs one request to the store for a file smaller than a part', async () => {
    const { engine, store } = await openEngine()

    const upload = await engine.create(ada, creation(10))
    await engine.append(ada, upload.id, chunk(0, randomBytes(10)))
    await engine.drained()

    expect(store.calls).toEqual(['put'])
  })

  it('marks the upload for cleanup when a tail object could not be recorded', async () => {
    const { database, fail } = await countingDatabase()
    const { engine, store } = await openEngine({ database })
    const upload = await engine.create(ada, creation(100))

    fail('upload-save-parts')
    await expect(engine.append(ada, upload.id, chunk(0, randomBytes(23)))).rejects.toThrow('failed by the test')

    expect(store.objects.size).toBe(1)
    expect(await needsCleanup(database, upload.id)).toBe(true)
  })

  it.each(['append', 'complete'] as const)('reports that the store lost a tail object, at %s', async (request) => {
    const { engine, store, database } = await openEngine()
    const { id } = await engine.create(ada, { ...creation(15), ending: 'later' })
    const size = request === 'append' ? 5 : 15
    await engine.append(ada, id, { offset: 0, body: bodyOf(randomBytes(size)), bodySize: null, ending: 'later' })
    for (const key of store.objects.keys()) store.objects.delete(key)
    // A second engine, which does not have the tail in memory.
    const other = (await openEngine({ store, database })).engine

    const ask = () =>
      request === 'append'
        ? other.append(ada, id, { offset: 5, body: bodyOf(randomBytes(10)), bodySize: 10, ending: 'at-size' })
        : other.complete(ada, id)

    await expect(ask()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(ask()).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
    expect((await other.get(ada, id)).state).toBe('failed')
  })

  it('reports that the store lost the upload even when bytes of the body were stored', async () => {
    const { engine, store } = await openEngine({ partsInFlight: 1 })
    const { id } = await engine.create(ada, creation(60))
    let parts = 0
    store.fault = (call) => {
      if (call === 'createMultipart') parts = 0
      if (call === 'uploadPart' && ++parts > 2) throw new NoSuchUpload('gone')
    }
    const send = (offset: number) => {
      const body = bodyOf([randomBytes(20), randomBytes(10), randomBytes(10)])
      return engine.append(ada, id, { ...chunk(offset, randomBytes(40)), body })
    }

    await expect(send(0)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(send((await engine.get(ada, id)).offset)).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
  })

  it('uses the part size of the policy', async () => {
    const { creator } = defaultPolicies.roles
    const policies = { ...defaultPolicies, roles: { creator: { ...creator!, partSize: 20 } } }
    const { engine } = await openEngine({ policies: () => policies })
    const { id, partSize } = await engine.create(ada, creation(100))

    const upload = await engine.append(ada, id, {
      ...chunk(0, randomBytes(100)),
      body: brokenBody(randomBytes(50)),
      bodySize: 100,
    })

    expect([partSize, upload.partSize]).toEqual([20, 20])
  })

  it('removes recorded tail objects without listing the store', async () => {
    const { engine, store, database } = await openEngine()
    const upload = await engine.create(ada, creation(10))
    await engine.append(ada, upload.id, chunk(0, randomBytes(3)))

    await engine.append(ada, upload.id, chunk(3, randomBytes(7)))
    await engine.drained()

    expect(store.calls).toEqual(['put', 'put', 'remove'])
    expect([...store.objects.keys()]).toEqual([upload.key])
    expect(await needsCleanup(database, upload.id)).toBe(false)
  })

  it('lists the store when the upload needs cleanup', async () => {
    const { engine, store, database } = await openEngine()
    const upload = await engine.create(ada, creation(10))
    await engine.append(ada, upload.id, chunk(0, randomBytes(3)))
    store.objects.set(`.landfall/tails/${upload.id}/forgotten`, Buffer.from('x'))
    await database.query({ name: 'test-mark', text: 'update upload_sessions set needs_cleanup = true where id = $1' }, [
      upload.id,
    ])

    await engine.append(ada, upload.id, chunk(3, randomBytes(7)))
    await engine.drained()

    expect([...store.objects.keys()]).toEqual([upload.key])
    expect(await needsCleanup(database, upload.id)).toBe(false)
  })

  it('frees the memory of chunks once the store has them, and of no others', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(23)
    const upload = await engine.create(ada, creation(30))
    const body = bodyOf([bytes.subarray(0, 10), bytes.subarray(10, 16), bytes.subarray(16)])
    const chunks: Buffer[] = []
    const emit = body.emit
    body.emit = (name: string | symbol, ...values: unknown[]) => {
      if (name === 'data') chunks.push(values[0] as Buffer)
      return emit.call(body, name, ...values)
    }

    await engine.append(ada, upload.id, { offset: 0, body, bodySize: 23, ending: 'at-size' })

    // The first chunk is a part, the second is in a part, the third was split: its end is the buffered tail.
    expect(chunks.map(({ buffer }) => buffer.byteLength)).toEqual([0, 0, 7])
    const whole = await engine.append(ada, upload.id, chunk(23, Buffer.alloc(7)))
    expect(store.objects.get(whole.key)).toEqual(Buffer.concat([bytes, Buffer.alloc(7)]))
  })

  it('accepts the length with a later request', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(25)

    const { id } = await engine.create(ada, creation(null))
    await engine.append(ada, id, chunk(0, bytes.subarray(0, 10)))
    const upload = await engine.append(ada, id, chunk(10, bytes.subarray(10), { size: 25 }))

    expect(upload.state).toBe('completed')
    expect(store.objects.get(upload.key)).toEqual(bytes)
  })

  it('completes an upload of unknown length with a body that is declared the last', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(25)

    const { id } = await engine.create(ada, creation(null))
    await engine.append(ada, id, chunk(0, bytes.subarray(0, 13), { ending: 'later' }))
    const upload = await engine.append(ada, id, chunk(13, bytes.subarray(13), { ending: 'with-body', bodySize: null }))

    expect(upload).toMatchObject({ state: 'completed', size: 25 })
    expect(store.objects.get(upload.key)).toEqual(bytes)
  })

  it('completes a file of full length only when the client says so', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(12))
    const full = await engine.append(ada, id, chunk(0, randomBytes(12), { ending: 'later' }))
    const ended = await engine.append(ada, id, chunk(12, Buffer.alloc(0), { ending: 'with-body' }))

    expect(full).toMatchObject({ state: 'receiving', offset: 12 })
    expect(ended.state).toBe('completed')
  })
})

describe('a misbehaving body', () => {
  it('keeps the bytes that arrived before the connection broke', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(40))
    await engine.append(ada, id, chunk(0, Buffer.alloc(0), { body: brokenBody(randomBytes(23)), bodySize: 40 }))

    expect((await engine.status(ada, id)).offset).toBe(23)
  })

  it('does not take a broken body for the end of a file of unknown length', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(null))
    await engine.append(
      ada,
      id,
      chunk(0, Buffer.alloc(0), { body: brokenBody(randomBytes(23)), bodySize: null, ending: 'with-body' }),
    )

    expect(await engine.status(ada, id)).toMatchObject({ state: 'receiving', offset: 23, size: null })
  })

  it('is stopped by another request, and its last bytes are stored', async () => {
    // Without an idle timeout, only the other request ends this body.
    const { engine } = await openEngine({ bodyIdleMs: 0 })
    const { id } = await engine.create(ada, creation(40))
    const body = hungBody(randomBytes(23))
    const hanging = engine.append(ada, id, chunk(0, Buffer.alloc(0), { body, bodySize: 40 }))
    const refused = expect(hanging).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    await taken(body)

    const upload = await engine.status(ada, id)

    expect(upload.offset).toBe(23)
    await refused
  })

  it('is complete once all of its declared bytes have arrived, even without an end', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(23)
    const { id } = await engine.create(ada, creation(null))
    const body = hungBody(bytes)
    const hanging = engine.append(ada, id, chunk(0, Buffer.alloc(0), { body, bodySize: 23, ending: 'with-body' }))
    await taken(body)

    const upload = await engine.status(ada, id, 'later')

    expect(upload).toMatchObject({ state: 'completed', offset: 23 })
    expect(store.objects.get((await hanging).key)).toEqual(bytes)
  })

  it('is discarded when it breaks off, unless its digest allows partial bodies', async () => {
    const { engine } = await openEngine()
    const digest = { update() {}, verify() {} }
    const send = (id: string, acceptsPartialBody: boolean) =>
      engine.append(
        ada,
        id,
        chunk(0, Buffer.alloc(0), {
          body: brokenBody(randomBytes(23)),
          bodySize: 40,
          digest: { ...digest, acceptsPartialBody },
        }),
      )
    const strict = await engine.create(ada, creation(40))
    const lenient = await engine.create(ada, creation(40))

    await expect(send(strict.id, false)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
    await send(lenient.id, true)

    expect((await engine.status(ada, strict.id)).offset).toBe(0)
    expect((await engine.status(ada, lenient.id)).offset).toBe(23)
  })

  it('under a digest leaves no bytes when its length cannot be recorded', async () => {
    const uploads = uploadRepository(await testDatabase())
    const budget = createMemoryBudget(16 * 1024 ** 2)
    let isDown = false
    const { engine, store } = await openEngine({
      budget,
      uploads: {
        ...uploads,
        save: (upload, fence, patch) =>
          isDown && patch.size === 23
            ? Promise.reject(new UploadError('DATABASE_ERROR', 'down'))
            : uploads.save(upload, fence, patch),
      },
    })
    const { id } = await engine.create(ada, creation(null))
    isDown = true
    const digest = { update() {}, verify() {} }

    const refused = engine.append(ada, id, chunk(0, randomBytes(5), { bodySize: null, size: 23, digest }))

    await expect(refused).rejects.toMatchObject({ code: 'DATABASE_ERROR' })
    await engine.drained()
    expect(budget.used).toBe(0)
    expect(store.objects.size).toBe(0)
    expect(await engine.status(ada, id)).toMatchObject({ offset: 0, size: null })
  })

  it('is ended by the idle timeout, and its bytes are kept', async () => {
    const { engine } = await openEngine({ bodyIdleMs: 1000 })

    const { id } = await engine.create(ada, creation(40))
    const hanging = engine.append(ada, id, chunk(0, Buffer.alloc(0), { body: hungBody(randomBytes(23)), bodySize: 40 }))

    await expect(hanging).rejects.toMatchObject({ code: 'BODY_TIMEOUT' })
    expect((await engine.status(ada, id)).offset).toBe(23)
  })

  it('with more bytes than the declared length stores none of them', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(12))

    await expect(engine.append(ada, id, chunk(0, randomBytes(13)))).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
    expect((await engine.status(ada, id)).offset).toBe(0)
  })

  it('with one byte too many at its end does not complete the file', async () => {
    const budget = createMemoryBudget(64 * 1024 ** 2)
    const { engine, store } = await openEngine({ budget, partSize: 10 * 1024 ** 2 })
    const bytes = randomBytes(4 * 1024 ** 2)
    const { id } = await engine.create(ada, creation(bytes.length))
    async function* lateByte() {
      yield bytes
      // The budget makes the writer spill all bytes to a tail object.
      await untilDone(() => expect(store.objects.size).toBe(1))
      for (let reads = 0; reads < 10; reads++) await engine.get(ada, id)
      yield Buffer.from('x')
    }

    const refused = engine.append(ada, id, chunk(0, bytes, { body: Readable.from(lateByte()), bodySize: null }))

    await expect(refused).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
    expect(await engine.status(ada, id)).toMatchObject({ state: 'receiving', offset: 0 })
    await engine.drained()
    expect([store.objects.size, budget.used]).toEqual([0, 0])
    await engine.append(ada, id, chunk(0, bytes))
    expect(await engine.status(ada, id)).toMatchObject({ state: 'completed' })
  })
})

describe('errors', () => {
  it('have the offset of the upload when the offset of the request is wrong', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(40))
    await engine.append(ada, id, chunk(0, randomBytes(15)))

    await expect(engine.append(ada, id, chunk(10, randomBytes(5)))).rejects.toMatchObject({
      code: 'OFFSET_MISMATCH',
      facts: { offset: 15 },
    })
  })

  it('do not reveal an upload to other users, by any operation', async () => {
    const { engine } = await openEngine()
    const eve = userOf('eve', 'creator')
    const { id } = await engine.create(ada, creation(40))

    const operations = [
      engine.append(eve, id, chunk(0, randomBytes(5))),
      engine.status(eve, id),
      engine.get(eve, id),
      engine.cancel(eve, id),
      engine.complete(eve, id),
      engine.listParts(eve, id),
      engine.uploadPart(eve, id, { number: 1, body: bodyOf(randomBytes(5)), bodySize: 5 }),
    ]

    for (const answer of await Promise.allSettled(operations))
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'UPLOAD_NOT_FOUND' } })
    expect((await engine.status(ada, id)).offset).toBe(0)
  })

  it.each([
    ['a malformed id', 'x'],
    ['an unknown id', '00000000-0000-4000-8000-000000000000'],
  ])('say that %s is not found', async (_, id) => {
    const { engine } = await openEngine()

    await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
    await expect(engine.append(ada, id, chunk(0, randomBytes(1)))).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
  })
})

describe('a completed upload', () => {
  it('can be read while its lease is held', async () => {
    const database = await testDatabase()
    const { engine } = await openEngine({ database })
    const { id } = await sendInChunks(engine, randomBytes(35), 35)
    const other = await openLocker({ database, leaseMs: 2000, waitMs: 3000, onError() {} })
    const { promise: done, resolve: release } = Promise.withResolvers<void>()
    const { promise: isHeld, resolve: onHeld } = Promise.withResolvers<void>()
    const signals: string[] = []
    const holding = other.withLock(
      id,
      () => {},
      async ({ signal }) => {
        signal.addEventListener('abort', () => signals.push(String(signal.reason)))
        onHeld()
        await done
      },
    )
    await isHeld

    const upload = await engine.status(ada, id)

    expect(upload.state).toBe('completed')
    expect(signals).toEqual([])
    release()
    await holding
    await other.close()
  })
})

describe('cancelling', () => {
  it('removes all objects of an unfinished upload and ends it', async () => {
    const { engine, store } = await openEngine()
    const { id } = await engine.create(ada, creation(40))
    await engine.append(ada, id, chunk(0, randomBytes(35)))

    await engine.cancel(ada, id)

    expect(store.objects.size).toBe(0)
    expect(store.multiparts.size).toBe(0)
    await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
  })

  it('leaves the upload for the sweeper when a slow node stores the file meanwhile', async () => {
    const { engine, store, database } = await openEngine()
    const { engine: other } = await openEngine({ store })
    const overtake = { name: 'test-overtake', text: `update upload_sessions set lease_until = now() where id = $1` }
    const { id } = await engine.create(ada, creation(5))
    const put = Promise.withResolvers<void>()
    const proceed = Promise.withResolvers<void>()
    const [isPutting, isChecking] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    store.fault = async (call, at) => {
      if (call === 'put' && at === 'before') {
        isPutting.resolve()
        await put.promise
      }
      if (call === 'stat' && at === 'after') {
        isChecking.resolve()
        await proceed.promise
      }
    }
    const late = engine.append(ada, id, chunk(0, randomBytes(5))).catch((error: unknown) => error)
    await isPutting.promise
    await database.query(overtake, [id])
    const cancelled = other.cancel(ada, id)
    await isChecking.promise
    put.resolve()
    expect(await late).toMatchObject({ code: 'UPLOAD_LOCKED' })
    proceed.resolve()
    await cancelled

    expect(store.objects.size).toBe(1)
    expect(await needsCleanup(database, id)).toBe(true)
    await other.cleanUp(id)
    expect(store.objects.size).toBe(0)
    expect(await needsCleanup(database, id)).toBe(false)
  })

  it('removes the object of a completed upload', async () => {
    const { engine, store } = await openEngine()
    const upload = await sendInChunks(engine, randomBytes(35), 35)

    await engine.cancel(ada, upload.id)

    expect(store.objects.size).toBe(0)
  })
})

describe('numbered parts', () => {
  it('are uploaded in any order and concurrently', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(47)
    const { id } = await engine.create(ada, creation(47))
    const send = (number: number) => {
      const part = bytes.subarray((number - 1) * 10, number * 10)
      return engine.uploadPart(ada, id, { number, body: bodyOf(part), bodySize: part.length })
    }

    await Promise.all([send(5), send(2), send(4)])
    expect((await engine.get(ada, id)).offset).toBe(0)
    await Promise.all([send(1), send(3), send(2)])
    const upload = await engine.complete(ada, id)

    expect(upload.state).toBe('completed')
    expect(store.objects.get(upload.key)).toEqual(bytes)
    expect(store.multiparts.size).toBe(0)
  })

  it('do not complete an upload while one is missing', async () => {
    const { engine } = await openEngine()
    const { id } = await engine.create(ada, creation(20))
    await engine.uploadPart(ada, id, { number: 2, body: bodyOf(randomBytes(10)), bodySize: 10 })

    await expect(engine.complete(ada, id)).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
  })

  it('continue where appends stopped, and appends continue after them', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(40)
    const { id } = await engine.create(ada, { ...creation(40), kind: 'parted' })

    await engine.append(ada, id, chunk(0, bytes.subarray(0, 14)))
    await engine.uploadPart(ada, id, { number: 2, body: bodyOf(bytes.subarray(10, 20)), bodySize: 10 })
    expect((await engine.status(ada, id)).offset).toBe(20)
    const upload = await engine.append(ada, id, chunk(20, bytes.subarray(20)))
    await engine.drained()

    expect(upload.state).toBe('completed')
    expect(store.objects.get(upload.key)).toEqual(bytes)
    expect(store.objects.size).toBe(1)
  })
})
