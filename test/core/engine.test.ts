import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { AppendRequest, RunningEngine } from '../../src/core/engine.ts'
import { UploadError } from '../../src/core/errors/error.ts'
import { createMemoryBudget } from '../../src/core/memory/memory-budget.ts'
import { defaultPolicies } from '../../src/core/policy/policy.ts'
import { NoSuchUpload } from '../../src/core/ports.ts'
import { userOf } from '../../src/core/upload.ts'
import type { Database } from '../../src/db/open.ts'
import { leaseLocker } from '../../src/locks/lease.ts'
import { taken } from '../support/arrival.ts'
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

/** The test database, with a list of what it was asked, which refuses the statements it is told to. */
async function countingDatabase() {
  const real = await testDatabase()
  const asked: string[] = []
  const refused = new Set<string>()
  const note = (name: string) => {
    asked.push(name)
    if (refused.has(name)) throw new Error('refused by the test')
  }
  const database: Database = {
    ...real,
    async query(statement, values) {
      note(statement.name)
      return real.query(statement, values)
    },
    async queryOnce(statement, values) {
      note(statement.name)
      return real.queryOnce(statement, values)
    },
  }
  return { database, asked, refuse: (name: string) => void refused.add(name) }
}

/** Whether the sweeper is to look for what the upload left. */
async function isDirty(database: Database, id: string): Promise<boolean> {
  const look = { name: 'look', text: 'select needs_cleanup from upload_sessions where id = $1' }
  const [row] = await database.query<{ needs_cleanup: boolean }>(look, [id])
  return row!.needs_cleanup
}

describe('sending a file', () => {
  it.each([0, 1, 9, 10, 11, 30, 35])('of %i bytes in one body makes exactly that object', async (size) => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(size)

    let upload = await engine.create(ada, creation(size))
    if (size > 0) upload = await engine.append(ada, upload.id, chunk(0, bytes))

    expect(upload).toMatchObject({ state: 'completed', offset: size, size })
    expect([...store.objects.entries()]).toEqual([[upload.key, bytes]])
    expect(store.multiparts.size).toBe(0)
  })

  it.each([1, 3, 7, 10, 13, 25])('in chunks of %i bytes leaves nothing but the object', async (chunkSize) => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(57)

    const upload = await sendInChunks(engine, bytes, chunkSize)
    await engine.drained()

    expect(upload.state).toBe('completed')
    expect([...store.objects.entries()]).toEqual([[upload.key, bytes]])
    expect(store.multiparts.size).toBe(0)
  })

  it('asks the store once for a file that fits into a part', async () => {
    const { engine, store } = await openEngine()

    const upload = await engine.create(ada, creation(10))
    await engine.append(ada, upload.id, chunk(0, randomBytes(10)))
    await engine.drained()

    expect(store.calls).toEqual(['put'])
  })

  it('asks the database once before the body and once after it', async () => {
    const { database, asked } = await countingDatabase()
    const { engine } = await openEngine({ database })
    const upload = await engine.create(ada, creation(100))
    asked.length = 0

    await engine.append(ada, upload.id, chunk(0, randomBytes(33)))

    expect(asked).toEqual(['lease-acquire', 'upload-save'])
  })

  it('has the sweeper look for a piece whose record failed', async () => {
    const { database, refuse } = await countingDatabase()
    const { engine, store } = await openEngine({ database })
    const upload = await engine.create(ada, creation(100))

    refuse('upload-save')
    await expect(engine.append(ada, upload.id, chunk(0, randomBytes(23)))).rejects.toThrow('refused')

    expect(store.objects.size).toBe(1)
    expect(await isDirty(database, upload.id)).toBe(true)
  })

  it.each(['append', 'complete'] as const)('says that the store lost a piece, at %s', async (verb) => {
    const { engine, store, database } = await openEngine()
    const { id } = await engine.create(ada, { ...creation(15), ending: 'later' })
    const size = verb === 'append' ? 5 : 15
    await engine.append(ada, id, { offset: 0, body: bodyOf(randomBytes(size)), bodySize: null, ending: 'later' })
    for (const key of store.objects.keys()) store.objects.delete(key)
    // One that does not remember what it wrote.
    const other = (await openEngine({ store, database })).engine

    const ask = () =>
      verb === 'append'
        ? other.append(ada, id, { offset: 5, body: bodyOf(randomBytes(10)), bodySize: 10, ending: 'at-size' })
        : other.complete(ada, id)

    await expect(ask()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(ask()).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
    expect((await other.get(ada, id)).state).toBe('failed')
  })

  it('says that the store lost the upload also when something of the body was kept', async () => {
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

  it('cuts it into parts as the policy says', async () => {
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

  it('removes the pieces of a file that became one object without searching the store', async () => {
    const { engine, store, database } = await openEngine()
    const upload = await engine.create(ada, creation(10))
    await engine.append(ada, upload.id, chunk(0, randomBytes(3)))

    await engine.append(ada, upload.id, chunk(3, randomBytes(7)))
    await engine.drained()

    expect(store.calls).toEqual(['put', 'put', 'remove'])
    expect([...store.objects.keys()]).toEqual([upload.key])
    expect(await isDirty(database, upload.id)).toBe(false)
  })

  it('searches the store after all when somebody before it may have left something', async () => {
    const { engine, store, database } = await openEngine()
    const upload = await engine.create(ada, creation(10))
    await engine.append(ada, upload.id, chunk(0, randomBytes(3)))
    store.objects.set(`.landfall/tails/${upload.id}/forgotten`, Buffer.from('x'))
    await database.query({ name: 'mark', text: 'update upload_sessions set needs_cleanup = true where id = $1' }, [
      upload.id,
    ])

    await engine.append(ada, upload.id, chunk(3, randomBytes(7)))
    await engine.drained()

    expect([...store.objects.keys()]).toEqual([upload.key])
    expect(await isDirty(database, upload.id)).toBe(false)
  })

  it('gives the memory of chunks back when the store has them, and of no others', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(23)
    const upload = await engine.create(ada, creation(30))
    const body = bodyOf([bytes.subarray(0, 10), bytes.subarray(10, 16), bytes.subarray(16)])
    const chunks: Buffer[] = []
    const seen = body.emit
    body.emit = (name: string | symbol, ...values: unknown[]) => {
      if (name === 'data') chunks.push(values[0] as Buffer)
      return seen.call(body, name, ...values)
    }

    await engine.append(ada, upload.id, { offset: 0, body, bodySize: 23, ending: 'at-size' })

    // The first is a part, the second is in a part, the third was cut in two, and its end is a piece that is kept for speed.
    expect(chunks.map((seen) => seen.buffer.byteLength)).toEqual([0, 0, 7])
    const whole = await engine.append(ada, upload.id, chunk(23, Buffer.alloc(7)))
    expect(store.objects.get(whole.key)).toEqual(Buffer.concat([bytes, Buffer.alloc(7)]))
  })

  it('takes a length that is told with a later chunk', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(25)

    const { id } = await engine.create(ada, creation(null))
    await engine.append(ada, id, chunk(0, bytes.subarray(0, 10)))
    const upload = await engine.append(ada, id, chunk(10, bytes.subarray(10), { size: 25 }))

    expect(upload.state).toBe('completed')
    expect(store.objects.get(upload.key)).toEqual(bytes)
  })

  it('ends an upload of unknown length with a body that is said to be the last', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(25)

    const { id } = await engine.create(ada, creation(null))
    await engine.append(ada, id, chunk(0, bytes.subarray(0, 13), { ending: 'later' }))
    const upload = await engine.append(ada, id, chunk(13, bytes.subarray(13), { ending: 'with-body', bodySize: null }))

    expect(upload).toMatchObject({ state: 'completed', size: 25 })
    expect(store.objects.get(upload.key)).toEqual(bytes)
  })

  it('does not end one of full length before it is told', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(12))
    const full = await engine.append(ada, id, chunk(0, randomBytes(12), { ending: 'later' }))
    const ended = await engine.append(ada, id, chunk(12, Buffer.alloc(0), { ending: 'with-body' }))

    expect(full).toMatchObject({ state: 'receiving', offset: 12 })
    expect(ended.state).toBe('completed')
  })
})

describe('a body that misbehaves', () => {
  it('keeps what came before the connection broke', async () => {
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

  it('gives way to whoever asks, with its last bytes saved', async () => {
    // Nothing but the question ends this body.
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

  it('is whole when every byte it announced has come, also when its end was not seen', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(23)
    const { id } = await engine.create(ada, creation(null))
    const body = hungBody(bytes)
    const hanging = engine.append(ada, id, chunk(0, Buffer.alloc(0), { body, bodySize: 23, ending: 'with-body' }))
    await taken(body)

    const seen = await engine.status(ada, id, 'later')

    expect(seen).toMatchObject({ state: 'completed', offset: 23 })
    expect(store.objects.get((await hanging).key)).toEqual(bytes)
  })

  it('counts for nothing under a digest when it breaks off, unless the digest is of whole bodies only', async () => {
    const { engine } = await openEngine()
    const digest = { update() {}, verify() {} }
    const send = (id: string, keepsWhatBrokeOff: boolean) =>
      engine.append(
        ada,
        id,
        chunk(0, Buffer.alloc(0), {
          body: brokenBody(randomBytes(23)),
          bodySize: 40,
          digest: { ...digest, acceptsPartialBody: keepsWhatBrokeOff },
        }),
      )
    const strict = await engine.create(ada, creation(40))
    const lenient = await engine.create(ada, creation(40))

    await expect(send(strict.id, false)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
    await send(lenient.id, true)

    expect((await engine.status(ada, strict.id)).offset).toBe(0)
    expect((await engine.status(ada, lenient.id)).offset).toBe(23)
  })

  it('under a digest leaves nothing, in memory or elsewhere, when the length it brings cannot be recorded', async () => {
    const database = await testDatabase()
    const budget = createMemoryBudget(16 * 1024 ** 2)
    let isAway = false
    const { engine, store } = await openEngine({
      budget,
      database: {
        ...database,
        queryOnce: (statement, values) =>
          isAway && values[5] === 23
            ? Promise.reject(new UploadError('DATABASE_ERROR', 'away'))
            : database.queryOnce(statement, values),
      },
    })
    const { id } = await engine.create(ada, creation(null))
    isAway = true
    const digest = { update() {}, verify() {} }

    const refused = engine.append(ada, id, chunk(0, randomBytes(5), { bodySize: null, size: 23, digest }))

    await expect(refused).rejects.toMatchObject({ code: 'DATABASE_ERROR' })
    await engine.drained()
    expect(budget.used).toBe(0)
    expect(store.objects.size).toBe(0)
    expect(await engine.status(ada, id)).toMatchObject({ offset: 0, size: null })
  })

  it('is ended when nothing comes, and what came is kept', async () => {
    const { engine } = await openEngine({ bodyIdleMs: 200 })

    const { id } = await engine.create(ada, creation(40))
    const hanging = engine.append(ada, id, chunk(0, Buffer.alloc(0), { body: hungBody(randomBytes(23)), bodySize: 40 }))

    await expect(hanging).rejects.toMatchObject({ code: 'BODY_TIMEOUT' })
    expect((await engine.status(ada, id)).offset).toBe(23)
  })

  it('with more bytes than the declared length changes nothing when its length is known', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(12))

    await expect(engine.append(ada, id, chunk(0, randomBytes(13)))).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
    expect((await engine.status(ada, id)).offset).toBe(0)
  })

  it('with more bytes than the length, seen late, does not make the file whole', async () => {
    const budget = createMemoryBudget(64 * 1024 ** 2)
    const { engine, store } = await openEngine({ budget, partSize: 10 * 1024 ** 2 })
    const bytes = randomBytes(4 * 1024 ** 2)
    const { id } = await engine.create(ada, creation(bytes.length))
    const peek = () => engine.get(ada, id)
    async function* lateByte() {
      yield bytes
      // All of it goes to the store as a piece, because it would hold too much memory.
      await untilDone(() => expect(store.objects.size).toBe(1))
      for (let look = 0; look < 10; look++) await peek()
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

describe('refusals', () => {
  it('tells where an upload goes on when the offset is wrong', async () => {
    const { engine } = await openEngine()

    const { id } = await engine.create(ada, creation(40))
    await engine.append(ada, id, chunk(0, randomBytes(15)))

    await expect(engine.append(ada, id, chunk(10, randomBytes(5)))).rejects.toMatchObject({
      code: 'OFFSET_MISMATCH',
      facts: { offset: 15 },
    })
  })

  it('tells a stranger nothing, on any verb', async () => {
    const { engine } = await openEngine()
    const eve = userOf('eve', 'creator')
    const { id } = await engine.create(ada, creation(40))

    const verbs = [
      engine.append(eve, id, chunk(0, randomBytes(5))),
      engine.status(eve, id),
      engine.get(eve, id),
      engine.cancel(eve, id),
      engine.complete(eve, id),
      engine.listParts(eve, id),
      engine.uploadPart(eve, id, { number: 1, body: bodyOf(randomBytes(5)), bodySize: 5 }),
    ]

    for (const answer of await Promise.allSettled(verbs))
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'UPLOAD_NOT_FOUND' } })
    expect((await engine.status(ada, id)).offset).toBe(0)
  })

  it.each([
    ['an id that is none', 'x'],
    ['an id nobody has', '00000000-0000-4000-8000-000000000000'],
  ])('finds nothing for %s', async (_, id) => {
    const { engine } = await openEngine()

    await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
    await expect(engine.append(ada, id, chunk(0, randomBytes(1)))).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
  })
})

describe('a completed upload', () => {
  it('is told of while somebody holds it', async () => {
    const database = await testDatabase()
    const { engine } = await openEngine({ database })
    const { id } = await sendInChunks(engine, randomBytes(35), 35)
    const other = await leaseLocker({ database, leaseMs: 2000, waitMs: 3000, onError() {} })
    const { promise: done, resolve: letGo } = Promise.withResolvers<void>()
    const { promise: isHeld, resolve: holds } = Promise.withResolvers<void>()
    const asked: string[] = []
    const holding = other.withLock(
      id,
      () => {},
      async ({ signal }) => {
        signal.addEventListener('abort', () => asked.push(String(signal.reason)))
        holds()
        await done
      },
    )
    await isHeld

    const upload = await engine.status(ada, id)

    expect(upload.state).toBe('completed')
    expect(asked).toEqual([])
    letGo()
    await holding
    await other.close()
  })
})

describe('cancelling', () => {
  it('frees everything an unfinished upload had, and is over', async () => {
    const { engine, store } = await openEngine()
    const { id } = await engine.create(ada, creation(40))
    await engine.append(ada, id, chunk(0, randomBytes(35)))

    await engine.cancel(ada, id)

    expect(store.objects.size).toBe(0)
    expect(store.multiparts.size).toBe(0)
    await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
  })

  it('leaves the sweeper to look once more when somebody overtaken stores the file while it is freed', async () => {
    const { engine, store, database } = await openEngine()
    const { engine: other } = await openEngine({ store })
    const overtake = { name: 'test-overtake', text: `update upload_sessions set lease_until = now() where id = $1` }
    const { id } = await engine.create(ada, creation(5))
    const put = Promise.withResolvers<void>()
    const looked = Promise.withResolvers<void>()
    const [isPutting, isLooking] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    store.fault = async (call, at) => {
      if (call === 'put' && at === 'before') {
        isPutting.resolve()
        await put.promise
      }
      if (call === 'stat' && at === 'after') {
        isLooking.resolve()
        await looked.promise
      }
    }
    const late = engine.append(ada, id, chunk(0, randomBytes(5))).catch((error: unknown) => error)
    await isPutting.promise
    await database.query(overtake, [id])
    const cancelled = other.cancel(ada, id)
    await isLooking.promise
    put.resolve()
    expect(await late).toMatchObject({ code: 'UPLOAD_LOCKED' })
    looked.resolve()
    await cancelled

    expect(store.objects.size).toBe(1)
    expect(await isDirty(database, id)).toBe(true)
    await other.cleanUp(id)
    expect(store.objects.size).toBe(0)
    expect(await isDirty(database, id)).toBe(false)
  })

  it('removes the object of a completed upload', async () => {
    const { engine, store } = await openEngine()
    const upload = await sendInChunks(engine, randomBytes(35), 35)

    await engine.cancel(ada, upload.id)

    expect(store.objects.size).toBe(0)
  })
})

describe('chunks by number', () => {
  it('come in any order and beside each other', async () => {
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

  it('do not end an upload in which one is missing', async () => {
    const { engine } = await openEngine()
    const { id } = await engine.create(ada, creation(20))
    await engine.uploadPart(ada, id, { number: 2, body: bodyOf(randomBytes(10)), bodySize: 10 })

    await expect(engine.complete(ada, id)).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
  })

  it('go on where another way of sending stopped, and the other way round', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(40)
    const { id } = await engine.create(ada, { ...creation(40), hasNumberedParts: true })

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
