import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { UploadError } from '../../../src/core/errors/error.ts'
import { NoSuchKey, NoSuchUpload } from '../../../src/core/ports.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { sweepOrphans } from '../../../src/jobs/sweep-orphans.ts'
import type { memoryStore } from '../../support/memory-store.ts'
import { ada, bodyOf, type OpenEngine, openEngine } from '../../support/open-engine.ts'

const minute = 60_000
const gone = () => new NoSuchUpload('no such multipart upload')
const missing = () => new NoSuchKey('no such object')

describe('a store that once says that something is not there', () => {
  it.each([
    ['a part', 'uploadPart', gone],
    ['the join', 'completeMultipart', gone],
    ['a piece', 'read', missing],
    ['the object after the join', 'completeMultipart', missing],
  ])('about %s costs the client a retry, and no byte', async (_, call, lie) => {
    const { at, bytes, id, store } = await halfSent()
    lieOnce(store, call, lie)

    const first = await send(at, id, bytes)
    const whole = await bringHome(at, id, bytes)

    expect(first).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(whole.state).toBe('completed')
    expect(store.objects.get(whole.key)).toEqual(bytes)
  })

  it('about a numbered chunk costs a retry of that chunk', async () => {
    const { at, store } = await world()
    const bytes = randomBytes(20)
    const { id } = await at.engine.create(ada, { ...creation(20), hasNumberedParts: true })
    const write = (number: number) => {
      const body = bodyOf(bytes.subarray((number - 1) * 10, number * 10))
      return at.engine.uploadPart(ada, id, { number, body, bodySize: 10 })
    }
    await write(1)
    lieOnce(store, 'uploadPart', gone)

    await expect(write(2)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await write(2)
    const whole = await at.engine.complete(ada, id)

    expect(store.objects.get(whole.key)).toEqual(bytes)
  })

  it('about the source of a copy costs a retry of the whole concatenation', async () => {
    const { at, store } = await world()
    const large = randomBytes(6 * 1024 ** 2)
    const partial = await at.engine.create(ada, { ...creation(large.length), concat: { kind: 'partial' } })
    await send(at, partial.id, large)
    lieOnce(store, 'copyPart', missing)
    lieOnce(store, 'read', missing)

    const final = {
      ...creation(null),
      concat: { kind: 'final' as const, from: [partial.id], header: `final;${partial.id}` },
    }
    await expect(at.engine.create(ada, final)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    const whole = await at.engine.create(ada, final)

    expect(whole.state).toBe('completed')
    expect(store.objects.get(whole.key)?.equals(large)).toBe(true)
  })

  it('and is right afterwards starts the pause anew the next time', async () => {
    const { at, bytes, id, store, time } = await halfSent()
    lieOnce(store, 'uploadPart', gone)
    expect(await send(at, id, bytes)).toMatchObject({ code: 'STORE_UNAVAILABLE' })

    const { offset } = await at.engine.get(ada, id)
    await at.engine.append(ada, id, chunk(offset, bytes.subarray(offset, offset + 10)))
    time.pass(6 * minute)
    lieOnce(store, 'uploadPart', gone)

    expect(await send(at, id, bytes)).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await bringHome(at, id, bytes)).state).toBe('completed')
  })
})

describe('a store that goes on saying so', () => {
  it('is not believed before the pause is over, however often it says so, and nothing is removed', async () => {
    const { at, bytes, id, store, time } = await halfSent()
    store.fault = (call) => {
      if (call === 'uploadPart') throw gone()
    }
    const [before] = store.multiparts.keys()

    for (let times = 0; times < 5; times += 1) {
      expect(await send(at, id, bytes)).toMatchObject({ code: 'STORE_UNAVAILABLE' })
      time.pass(50_000)
    }
    await runJobs(at, time)

    expect((await at.engine.get(ada, id)).state).toBe('receiving')
    expect(store.multiparts.has(before!)).toBe(true)
  })

  it('is believed when it says so again after the pause', async () => {
    const { at, bytes, id, store, time } = await halfSent()
    store.multiparts.clear()

    expect(await send(at, id, bytes)).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    time.pass(5 * minute)
    expect(await send(at, id, bytes)).toMatchObject({ code: 'UPLOAD_LOST' })
    expect((await at.engine.get(ada, id)).state).toBe('failed')
  })
})

describe('every way on which an upload can be found missing takes two looks with the pause between', () => {
  it.each<[string, () => Promise<Way>]>([
    ['a part that is appended', () => wayOf('uploadPart', gone)],
    ['the join of an append', () => wayOf('completeMultipart', gone)],
    ['a piece that was buffered', () => wayOf('read', missing)],
    ['a numbered chunk', chunkWay],
    ['a source of a concatenation', copyWay],
    ['the background finisher', finisherWay],
    ['a look for the object of a finished file', fileWay],
  ])('%s', async (_, arrange) => {
    const { at, store, time, id, look } = await arrange()
    const state = async () => (await uploadRepository(at.database).find(id))!.state
    await look()
    const before = { state: await state(), kept: kept(store) }
    expect(before.state).not.toBe('failed')

    time.pass(5 * minute - 1000)
    await look()
    await runJobs(at, time)
    expect({ state: await state(), kept: kept(store) }).toEqual(before)

    time.pass(1000)
    await look()
    expect(await state()).toBe('failed')
  })

  interface Way {
    at: OpenEngine
    store: ReturnType<typeof memoryStore>
    time: Awaited<ReturnType<typeof world>>['time']
    id: string
    /** One look, however it is answered. */
    look(): Promise<unknown>
  }

  const kept = (store: ReturnType<typeof memoryStore>) => [...store.multiparts.keys(), ...store.objects.keys()].sort()
  const quietly = (work: Promise<unknown>) => work.catch(() => {})

  /** From now on the store says so of every such call. */
  function lie(store: ReturnType<typeof memoryStore>, call: string, what: () => Error) {
    store.fault = (name, at) => {
      if (name === call && at === 'before') throw what()
    }
  }

  async function wayOf(call: string, what: () => Error): Promise<Way> {
    const made = await halfSent()
    lie(made.store, call, what)
    return { ...made, look: () => quietly(send(made.at, made.id, made.bytes)) }
  }

  async function chunkWay(): Promise<Way> {
    const made = await world()
    const { engine } = made.at
    const { id } = await engine.create(ada, { ...creation(20), hasNumberedParts: true })
    const write = (number: number) =>
      engine.uploadPart(ada, id, { number, body: bodyOf(randomBytes(10)), bodySize: 10 })
    await write(1)
    lie(made.store, 'uploadPart', gone)
    return { ...made, id, look: () => quietly(write(2)) }
  }

  async function copyWay(): Promise<Way> {
    const made = await world()
    const { engine, database } = made.at
    const large = randomBytes(6 * 1024 ** 2)
    const partial = await engine.create(ada, { ...creation(large.length), concat: { kind: 'partial' } })
    await send(made.at, partial.id, large)
    lie(made.store, 'copyPart', missing)
    const concat = { kind: 'final' as const, from: [partial.id], header: `final;${partial.id}` }
    const look = () => quietly(engine.create(ada, { ...creation(null), concat }))
    await look()
    const id = (await uploadRepository(database).findFinal({ ownerId: ada.id, tenant: ada.tenant }, [partial.id]))!
    return { ...made, id, look }
  }

  async function finisherWay(): Promise<Way> {
    const made = await halfSent()
    made.store.fault = (name, when) => {
      if (name === 'completeMultipart' && when === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Away.')
    }
    await send(made.at, made.id, made.bytes)
    lie(made.store, 'completeMultipart', gone)
    return { ...made, look: () => quietly(made.at.engine.finish(made.id)) }
  }

  async function fileWay(): Promise<Way> {
    const made = await completed()
    made.store.objects.delete(made.whole.key)
    return { ...made, id: made.whole.id, look: () => made.at.engine.observeFile(made.whole.id, ada) }
  }
})

describe('a row that is older than its object', () => {
  it('is complete as soon as its client goes on', async () => {
    const { at, bytes, id, store } = await restoredRow()

    const upload = await send(at, id, bytes)

    expect(upload).toMatchObject({ state: 'completed', offset: bytes.length })
    expect([...store.objects.values()]).toContainEqual(bytes)
  })

  it('is complete, and not expired, when its time is over', async () => {
    const { at, bytes, id, store, time } = await restoredRow()

    for (let rounds = 0; rounds < 10; rounds += 1) {
      time.pass(24 * 60 * minute)
      await runJobs(at, time)
    }

    const upload = await at.engine.get(ada, id)
    expect(upload).toMatchObject({ state: 'completed', size: bytes.length })
    expect(store.objects.get(upload.key)).toEqual(bytes)
  })

  it('does not write over the object with other bytes', async () => {
    const { at, store, time } = await world()
    const bytes = randomBytes(8)
    const { id, key } = await at.engine.create(ada, creation(8))
    store.objects.set(key, bytes)

    const upload = await send(at, id, randomBytes(8))
    await runJobs(at, time)

    expect(upload).toMatchObject({ state: 'completed' })
    expect(store.objects.get(key)).toEqual(bytes)
    expect(store.objects.size).toBe(2)
  })
})

describe('a file that is deleted', () => {
  it('is gone for its client at once, and for the store when its grace is over', async () => {
    const { at, store, time, whole } = await completed()

    await at.engine.cancel(ada, whole.id)
    await expect(at.engine.status(ada, whole.id)).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
    time.pass(6 * 24 * 60 * minute)
    await runJobs(at, time)
    expect(store.objects.has(whole.key)).toBe(true)

    time.pass(24 * 60 * minute)
    await runJobs(at, time)
    expect(store.objects.has(whole.key)).toBe(false)
  })

  it('can be restored until then, with its room', async () => {
    const { at, store, time, whole, usage } = await completed()
    const before = await usage()
    await at.engine.cancel(ada, whole.id)

    await at.engine.restore(whole.id, ada)
    time.pass(30 * 24 * 60 * minute)
    await runJobs(at, time)

    expect(await at.engine.status(ada, whole.id)).toMatchObject({ state: 'completed' })
    expect(store.objects.has(whole.key)).toBe(true)
    expect(await usage()).toEqual(before)
  })

  it('cannot be restored when it is gone, or was never deleted', async () => {
    const { at, store, whole } = await completed()
    await expect(at.engine.restore(whole.id, ada)).rejects.toBeInstanceOf(UploadError)
    await at.engine.cancel(ada, whole.id)
    store.objects.delete(whole.key)

    await expect(at.engine.restore(whole.id, ada)).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
    expect((await at.engine.get(ada, whole.id)).state).toBe('cancelled')
  })
})

it('a file that is not what its digest says stays for its grace, too', async () => {
  const { at, store, time } = await world()
  const digests = { expected: { 'sha-256': 'AAAA' }, wanted: [] }
  const { id, key } = await at.engine.create(ada, { ...creation(25), digests })
  const bytes = randomBytes(25)
  await at.engine.append(ada, id, chunk(0, bytes.subarray(0, 12)))

  expect(await send(at, id, bytes)).toMatchObject({ code: 'CHECKSUM_MISMATCH' })
  await runJobs(at, time)
  expect(store.objects.has(key)).toBe(true)

  time.pass(8 * 24 * 60 * minute)
  await runJobs(at, time)
  expect(store.objects.size).toBe(0)
})

const creation = (size: number | null) => ({ size, filename: 'a.txt', contentType: 'text/plain' })

async function world() {
  let passed = 0
  const time = {
    now: () => new Date(Date.now() + passed),
    pass(ms: number) {
      passed += ms
    },
  }
  const opened = await openEngine({
    now: time.now,
    lossConfirmMs: 5 * minute,
    deleteGraceMs: 7 * 24 * 60 * minute,
  })
  // Others of this file use the same database: their leftovers are not ours.
  return { at: opened, store: opened.store, time }
}

/** An upload of 45 bytes of which a part and a piece are there. */
async function halfSent() {
  const made = await world()
  const { at, store } = made
  const bytes = randomBytes(45)
  const { id, key } = await at.engine.create(ada, creation(45))
  await at.engine.append(ada, id, chunk(0, bytes.subarray(0, 10)))
  await at.engine.append(ada, id, chunk(10, bytes.subarray(10, 15)))
  // One that does not remember what it wrote.
  const other = await openEngine({
    store,
    now: made.time.now,
    lossConfirmMs: 5 * minute,
    deleteGraceMs: 7 * 24 * 60 * minute,
  })
  return { ...made, at: other, bytes, id, key }
}

/** A row that knows of 15 bytes of a file that is in the store as a whole. */
async function restoredRow() {
  const made = await halfSent()
  made.store.multiparts.clear()
  made.store.objects.set(made.key, made.bytes)
  return made
}

async function completed() {
  const made = await world()
  const { at } = made
  const { id } = await at.engine.create(ada, creation(25))
  await send(at, id, randomBytes(25))
  const whole = await at.engine.status(ada, id)
  const usage = async () =>
    at.database.query(
      {
        name: 'test-usage',
        text: `select reserved_bytes, stored_bytes, stored_files, open_uploads, open_files from upload_usage where owner_id = $1`,
      },
      [ada.id],
    )
  return { ...made, whole, usage }
}

function chunk(offset: number, bytes: Buffer) {
  return { offset, body: bodyOf(bytes), bodySize: bytes.length, ending: 'at-size' as const }
}

/** Goes on where the upload stands; a refusal is the answer. */
async function send({ engine }: OpenEngine, id: string, bytes: Buffer) {
  const { offset } = await engine.get(ada, id)
  return engine.append(ada, id, chunk(offset, bytes.subarray(offset))).catch((error: unknown) => error)
}

async function bringHome(at: OpenEngine, id: string, bytes: Buffer) {
  for (let tries = 0; tries < 5; tries += 1) {
    await send(at, id, bytes)
    const upload = await at.engine.status(ada, id).catch(() => null)
    if (upload?.state === 'completed') return upload
  }
  throw new Error('it never came home')
}

/** The next such call fails once. */
function lieOnce(store: ReturnType<typeof memoryStore>, call: string, lie: () => Error) {
  const before = store.fault
  let hasLied = false
  store.fault = (name, at, key) => {
    if (name === call && at === 'before' && !hasLied) {
      hasLied = true
      throw lie()
    }
    return before(name, at, key)
  }
}

async function runJobs({ engine, database, store }: OpenEngine, time: { now(): Date }) {
  const uploads = uploadRepository(database)
  await sweep(engine, uploads, time.now()).catch(() => {})
  await sweepOrphans(engine, uploads, store)
}
