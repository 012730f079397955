import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { UploadError } from '../../../src/core/errors/error.ts'
import { NoSuchKey, NoSuchUpload } from '../../../src/core/ports/object-store.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { sweepOrphans } from '../../../src/jobs/sweep-orphans.ts'
import { finalOf } from '../../support/final-of.ts'
import type { memoryStore } from '../../support/memory-store.ts'
import { ada, bodyOf, type OpenEngine, openEngine } from '../../support/open-engine.ts'

const minute = 60_000
const gone = () => new NoSuchUpload('no such multipart upload')
const missing = () => new NoSuchKey('no such object')

describe('a false report of a loss', () => {
  it.each([
    ['a part', 'uploadPart', gone],
    ['a completion', 'completeMultipart', gone],
    ['a tail object', 'read', missing],
    ['a completed object', 'completeMultipart', missing],
  ])('of %s costs the client a retry, and no bytes', async (_, call, error) => {
    const { at, bytes, id, store } = await halfSent()
    reportOnce(store, call, error)

    const first = await send(at, id, bytes)
    const whole = await sendUntilComplete(at, id, bytes)

    expect(first).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(whole.state).toBe('completed')
    expect(store.objects.get(whole.key)).toEqual(bytes)
  })

  it('of a numbered part costs a retry of that part', async () => {
    const { at, store } = await openWorld()
    const bytes = randomBytes(20)
    const { id } = await at.engine.create(ada, { ...creation(20), kind: 'parted' })
    const write = (number: number) => {
      const body = bodyOf(bytes.subarray((number - 1) * 10, number * 10))
      return at.engine.uploadPart(ada, id, { number, body, bodySize: 10 })
    }
    await write(1)
    reportOnce(store, 'uploadPart', gone)

    await expect(write(2)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await write(2)
    const whole = await at.engine.complete(ada, id)

    expect(store.objects.get(whole.key)).toEqual(bytes)
  })

  it('of the source of a copy costs a retry of the concatenation', async () => {
    const { at, store } = await openWorld()
    const large = randomBytes(6 * 1024 ** 2)
    const partial = await at.engine.create(ada, { ...creation(large.length), isPartial: true })
    await send(at, partial.id, large)
    reportOnce(store, 'copyPart', missing)
    reportOnce(store, 'read', missing)

    const final = { ...creation(null), ...finalOf([partial.id]) }
    await expect(at.engine.create(ada, final)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    const whole = await at.engine.create(ada, final)

    expect(whole.state).toBe('completed')
    expect(store.objects.get(whole.key)?.equals(large)).toBe(true)
  })

  it('does not count once the store has answered correctly', async () => {
    const { at, bytes, id, store, time } = await halfSent()
    reportOnce(store, 'uploadPart', gone)
    expect(await send(at, id, bytes)).toMatchObject({ code: 'STORE_UNAVAILABLE' })

    const { offset } = await at.engine.get(ada, id)
    await at.engine.append(ada, id, chunk(offset, bytes.subarray(offset, offset + 10)))
    time.pass(6 * minute)
    reportOnce(store, 'uploadPart', gone)

    expect(await send(at, id, bytes)).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await sendUntilComplete(at, id, bytes)).state).toBe('completed')
  })
})

describe('a repeated report of a loss', () => {
  it('confirms no loss before LOSS_CONFIRM, and nothing is removed', async () => {
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

  it('confirms the loss after LOSS_CONFIRM', async () => {
    const { at, bytes, id, store, time } = await halfSent()
    store.multiparts.clear()

    expect(await send(at, id, bytes)).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    time.pass(5 * minute)
    expect(await send(at, id, bytes)).toMatchObject({ code: 'UPLOAD_LOST' })
    expect((await at.engine.get(ada, id)).state).toBe('failed')
  })
})

describe('every operation that finds a loss needs two reports, LOSS_CONFIRM apart', () => {
  it.each<[string, () => Promise<LossCase>]>([
    ['an append of a part', () => appendCase('uploadPart', gone)],
    ['an append that completes', () => appendCase('completeMultipart', gone)],
    ['an append after a tail object', () => appendCase('read', missing)],
    ['a numbered part', partCase],
    ['a concatenation', copyCase],
    ['the job that completes uploads', jobCase],
    ['a check of a completed file', fileCase],
  ])('%s', async (_, arrange) => {
    const { at, store, time, id, attempt } = await arrange()
    const state = async () => (await uploadRepository(at.database).find(id))!.state
    await attempt()
    const before = { state: await state(), stored: stored(store) }
    expect(before.state).not.toBe('failed')

    time.pass(5 * minute - 1000)
    await attempt()
    await runJobs(at, time)
    expect({ state: await state(), stored: stored(store) }).toEqual(before)

    time.pass(1000)
    await attempt()
    expect(await state()).toBe('failed')
  })

  interface LossCase {
    at: OpenEngine
    store: ReturnType<typeof memoryStore>
    time: Awaited<ReturnType<typeof openWorld>>['time']
    id: string
    /** One operation; errors are ignored. */
    attempt(): Promise<unknown>
  }

  const stored = (store: ReturnType<typeof memoryStore>) => [...store.multiparts.keys(), ...store.objects.keys()].sort()
  const ignoringErrors = (work: Promise<unknown>) => work.catch(() => {})

  /** Every such call of the store now fails. */
  function reportAlways(store: ReturnType<typeof memoryStore>, call: string, what: () => Error) {
    store.fault = (name, at) => {
      if (name === call && at === 'before') throw what()
    }
  }

  async function appendCase(call: string, what: () => Error): Promise<LossCase> {
    const setup = await halfSent()
    reportAlways(setup.store, call, what)
    return { ...setup, attempt: () => ignoringErrors(send(setup.at, setup.id, setup.bytes)) }
  }

  async function partCase(): Promise<LossCase> {
    const setup = await openWorld()
    const { engine } = setup.at
    const { id } = await engine.create(ada, { ...creation(20), kind: 'parted' })
    const write = (number: number) =>
      engine.uploadPart(ada, id, { number, body: bodyOf(randomBytes(10)), bodySize: 10 })
    await write(1)
    reportAlways(setup.store, 'uploadPart', gone)
    return { ...setup, id, attempt: () => ignoringErrors(write(2)) }
  }

  async function copyCase(): Promise<LossCase> {
    const setup = await openWorld()
    const { engine, database } = setup.at
    const large = randomBytes(6 * 1024 ** 2)
    const partial = await engine.create(ada, { ...creation(large.length), isPartial: true })
    await send(setup.at, partial.id, large)
    reportAlways(setup.store, 'copyPart', missing)
    const attempt = () => ignoringErrors(engine.create(ada, { ...creation(null), ...finalOf([partial.id]) }))
    await attempt()
    const id = (await uploadRepository(database).findFinal({ ownerId: ada.id, tenant: ada.tenant }, [partial.id]))!
    return { ...setup, id, attempt }
  }

  async function jobCase(): Promise<LossCase> {
    const setup = await halfSent()
    setup.store.fault = (name, when) => {
      if (name === 'completeMultipart' && when === 'before') throw new UploadError('STORE_UNAVAILABLE', 'Down.')
    }
    await send(setup.at, setup.id, setup.bytes)
    reportAlways(setup.store, 'completeMultipart', gone)
    return { ...setup, attempt: () => ignoringErrors(setup.at.engine.finish(setup.id)) }
  }

  async function fileCase(): Promise<LossCase> {
    const setup = await completed()
    setup.store.objects.delete(setup.whole.key)
    return { ...setup, id: setup.whole.id, attempt: () => setup.at.engine.observeFile(setup.whole.id, ada) }
  }
})

describe('a row restored from a backup older than its object', () => {
  it('is complete as soon as its client resumes', async () => {
    const { at, bytes, id, store } = await restoredRow()

    const upload = await send(at, id, bytes)

    expect(upload).toMatchObject({ state: 'completed', offset: bytes.length })
    expect([...store.objects.values()]).toContainEqual(bytes)
  })

  it('is completed and not expired at its expiry', async () => {
    const { at, bytes, id, store, time } = await restoredRow()

    for (let rounds = 0; rounds < 10; rounds += 1) {
      time.pass(24 * 60 * minute)
      await runJobs(at, time)
    }

    const upload = await at.engine.get(ada, id)
    expect(upload).toMatchObject({ state: 'completed', size: bytes.length })
    expect(store.objects.get(upload.key)).toEqual(bytes)
  })

  it('does not overwrite the object with other bytes', async () => {
    const { at, store, time } = await openWorld()
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

describe('a deleted file', () => {
  it('is gone for its client at once, and from the store after DELETE_GRACE', async () => {
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

  it('can be restored until then, and counts for the quota again', async () => {
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

  it('cannot be restored when its object is gone, or when it was not deleted', async () => {
    const { at, store, whole } = await completed()
    await expect(at.engine.restore(whole.id, ada)).rejects.toBeInstanceOf(UploadError)
    await at.engine.cancel(ada, whole.id)
    store.objects.delete(whole.key)

    await expect(at.engine.restore(whole.id, ada)).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
    expect((await at.engine.get(ada, whole.id)).state).toBe('cancelled')
  })
})

it('a file that does not match its digest is kept for DELETE_GRACE', async () => {
  const { at, store, time } = await openWorld()
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

async function openWorld() {
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
  return { at: opened, store: opened.store, time }
}

/** An upload of 45 bytes, of which the store has a part and a tail object. */
async function halfSent() {
  const setup = await openWorld()
  const { at, store } = setup
  const bytes = randomBytes(45)
  const { id, key } = await at.engine.create(ada, creation(45))
  await at.engine.append(ada, id, chunk(0, bytes.subarray(0, 10)))
  await at.engine.append(ada, id, chunk(10, bytes.subarray(10, 15)))
  // A second engine, which does not have the tail in memory.
  const other = await openEngine({
    store,
    now: setup.time.now,
    lossConfirmMs: 5 * minute,
    deleteGraceMs: 7 * 24 * 60 * minute,
  })
  return { ...setup, at: other, bytes, id, key }
}

/** A row with an offset of 15 bytes, and the complete object in the store. */
async function restoredRow() {
  const setup = await halfSent()
  setup.store.multiparts.clear()
  setup.store.objects.set(setup.key, setup.bytes)
  return setup
}

async function completed() {
  const setup = await openWorld()
  const { at } = setup
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
  return { ...setup, whole, usage }
}

function chunk(offset: number, bytes: Buffer) {
  return { offset, body: bodyOf(bytes), bodySize: bytes.length, ending: 'at-size' as const }
}

/** Resumes the upload. Resolves with the upload or the error. */
async function send({ engine }: OpenEngine, id: string, bytes: Buffer) {
  const { offset } = await engine.get(ada, id)
  return engine.append(ada, id, chunk(offset, bytes.subarray(offset))).catch((error: unknown) => error)
}

async function sendUntilComplete(at: OpenEngine, id: string, bytes: Buffer) {
  for (let tries = 0; tries < 5; tries += 1) {
    await send(at, id, bytes)
    const upload = await at.engine.status(ada, id).catch(() => null)
    if (upload?.state === 'completed') return upload
  }
  throw new Error('the upload did not complete')
}

/** The next such call of the store fails. */
function reportOnce(store: ReturnType<typeof memoryStore>, call: string, error: () => Error) {
  const before = store.fault
  let hasReported = false
  store.fault = (name, at, key) => {
    if (name === call && at === 'before' && !hasReported) {
      hasReported = true
      throw error()
    }
    return before(name, at, key)
  }
}

async function runJobs({ engine, database, store }: OpenEngine, time: { now(): Date }) {
  const uploads = uploadRepository(database)
  await sweep(engine, uploads, time.now()).catch(() => {})
  await sweepOrphans(engine, uploads, store)
}
