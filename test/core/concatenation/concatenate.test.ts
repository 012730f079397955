import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { RunningEngine } from '../../../src/core/engine.ts'
import { type Upload, userOf } from '../../../src/core/upload.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { s3Options } from '../../../src/stores/s3/options.ts'
import { s3Store } from '../../../src/stores/s3/store.ts'
import { finalOf } from '../../support/final-of.ts'
import { unavailable } from '../../support/memory-store.ts'
import { ada, bodyOf, openEngine } from '../../support/open-engine.ts'
import { startS3StandIn } from '../../support/s3-stand-in.ts'

const MiB = 1024 ** 2
const file = { filename: 'whole.png', contentType: 'image/png' }
const unnamed = { filename: 'file', contentType: 'application/octet-stream' }

async function sendPartial(engine: RunningEngine, bytes: Buffer, actor = ada): Promise<Upload> {
  const { id } = await engine.create(actor, { ...unnamed, size: bytes.length, isPartial: true })
  return engine.append(actor, id, { offset: 0, body: bodyOf(bytes), bodySize: bytes.length, ending: 'at-size' })
}

function final(partials: Upload[]) {
  return { ...file, size: null, ...finalOf(partials.map(({ id }) => id)) }
}

describe('a final upload', () => {
  it.each([
    ['of partial uploads of odd sizes', [13, 1, 38]],
    ['with an empty partial upload', [10, 0, 7]],
    ['of empty partial uploads', [0, 0]],
    ['of one partial upload', [25]],
  ])('%s makes one object, and no other is left', async (_, sizes) => {
    const { engine, store } = await openEngine()
    const contents = sizes.map((size) => randomBytes(size))
    const partials = await Promise.all(contents.map((bytes) => sendPartial(engine, bytes)))

    const upload = await engine.create(ada, final(partials))
    await engine.drained()

    expect(upload).toMatchObject({ state: 'completed', size: Buffer.concat(contents).length })
    expect([...store.objects.entries()]).toEqual([[upload.key, Buffer.concat(contents)]])
    expect(store.multiparts.size).toBe(0)
    // A client that lost the answer reads the partial uploads again, and must not send them again.
    for (const { id, size } of partials)
      expect(await engine.status(ada, id)).toMatchObject({ state: 'completed', offset: size })
  })

  it('is one file, however often and with whatever header it is created', async () => {
    const { engine, store } = await openEngine()
    const partials = await Promise.all([sendPartial(engine, randomBytes(13)), sendPartial(engine, randomBytes(7))])
    const creation = final(partials)
    const withOtherHeader = { ...creation, uploadConcat: `${creation.uploadConcat} ` }

    const concurrent = await Promise.allSettled([engine.create(ada, creation), engine.create(ada, withOtherHeader)])
    const again = await engine.create(ada, withOtherHeader)
    await engine.drained()

    const ids = concurrent.map((result) => (result.status === 'fulfilled' ? result.value.id : result.reason.code))
    for (const id of ids) expect([again.id, 'UPLOAD_LOCKED', 'STORE_UNAVAILABLE']).toContain(id)
    expect(again.state).toBe('completed')
    expect(store.objects.size).toBe(1)
  })

  it('is the same file when another request completes it meanwhile', async () => {
    const { engine, store, database } = await openEngine()
    const partials = [await sendPartial(engine, randomBytes(13)), await sendPartial(engine, randomBytes(7))]
    const repository = uploadRepository(database)
    let other: Promise<Upload> | undefined
    const uploads = {
      ...repository,
      async findAll(ids: string[]) {
        other ??= engine.create(ada, final(partials))
        await other
        await engine.drained()
        return repository.findAll(ids)
      },
    }
    const { engine: late } = await openEngine({ uploads, store, database })

    const created = await late.create(ada, final(partials))

    expect(created).toMatchObject({ id: (await other!).id, state: 'completed' })
    expect(store.objects.size).toBe(1)
  })

  it('may name the same partial upload twice', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(17)
    const partial = await sendPartial(engine, bytes)

    const upload = await engine.create(ada, final([partial, partial]))

    expect(store.objects.get(upload.key)).toEqual(Buffer.concat([bytes, bytes]))
  })

  it.each([
    // Parts of 5 MiB; two of them span two partial uploads.
    ['parts within one partial upload', [17 * MiB + 3, 12 * MiB, 100], { UploadPartCopy: 4, UploadPart: 2 }],
    // As clients split a file: the last partial upload has the rest. The parts are as long as they are, the last is one byte.
    ['all parts of equal partial uploads', [7 * MiB, 7 * MiB, 7 * MiB, 7 * MiB + 1], { UploadPartCopy: 5 }],
    ['all parts where the part size is a divisor', [24 * MiB, 24 * MiB, 24 * MiB], { UploadPartCopy: 9 }],
  ])('is copied by the store: %s', { timeout: 60_000 }, async (_, sizes, requests) => {
    const server = await startS3StandIn({ equalParts: true })
    const store = s3Store(
      s3Options.parse({
        ...server.settings,
      }),
    )
    onTestFinished(async () => {
      await store.close()
      await server.close()
    })
    const { engine } = await openEngine({ store, partSize: 5 * MiB, finishWaitMs: 20_000 })
    const contents = sizes.map((size) => randomBytes(size))
    const partials: Upload[] = []
    for (const bytes of contents) partials.push(await sendPartial(engine, bytes))
    server.forgetRequests()

    const upload = await engine.create(ada, final(partials))
    await engine.drained()

    expect(await server.sha256Of(upload.key)).toBe(createHash('sha256').update(Buffer.concat(contents)).digest('hex'))
    const { UploadPartCopy, UploadPart } = server.requests
    expect({ UploadPartCopy, ...(UploadPart && { UploadPart }) }).toEqual(requests)
    expect(server.objects().map((object) => object.key)).toEqual([upload.key])
    expect(server.multiparts()).toEqual([])
  })

  it('continues after an error, as the same file', async () => {
    const { engine, store, database } = await openEngine()
    const contents = [randomBytes(23), randomBytes(24)]
    const partials = await Promise.all(contents.map((bytes) => sendPartial(engine, bytes)))
    let calls = 0
    store.fault = (call) => {
      if (call === 'uploadPart' && ++calls === 3) throw unavailable()
    }

    await expect(engine.create(ada, final(partials))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    const upload = await engine.create(ada, final(partials))
    await engine.drained()
    await sweep(engine, uploadRepository(database), new Date())

    expect(upload.state).toBe('completed')
    expect([...store.objects.entries()]).toEqual([[upload.key, Buffer.concat(contents)]])
    expect(store.multiparts.size).toBe(0)
  })

  it('does not write to the store after it has answered with an error', async () => {
    const { engine, store, database } = await openEngine()
    const partials = await Promise.all([23, 24, 25].map((size) => sendPartial(engine, randomBytes(size))))
    let calls = 0
    let isOver = false
    const late: string[] = []
    const writing: Promise<void>[] = []
    const write = async () => {
      // Long enough for an engine that does not wait for this write to answer.
      for (let query = 0; query < 20; query += 1) await database.executeSql('select 1')
      if (isOver) late.push('uploadPart')
    }
    store.fault = async (call, at) => {
      if (call !== 'uploadPart' || at !== 'before') return
      if (isOver) late.push(call)
      calls += 1
      if (calls === 1) throw unavailable()
      writing.push(write())
      await writing.at(-1)
    }

    await expect(engine.create(ada, final(partials))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    isOver = true
    await Promise.all(writing)
    await engine.drained()

    expect(writing.length).toBeGreaterThan(0)
    expect(late).toEqual([])
  })

  it('waits for partial uploads that are not complete', async () => {
    const { engine, store } = await openEngine()
    const [a, b] = [randomBytes(12), randomBytes(8)]
    const done = await sendPartial(engine, a)
    const open = await engine.create(ada, { ...unnamed, size: null, isPartial: true })

    const early = await engine.create(ada, final([done, open]))
    expect(early).toMatchObject({ state: 'receiving', size: null })
    await engine.append(ada, open.id, { offset: 0, body: bodyOf(b), bodySize: 8, size: 8, ending: 'at-size' })
    const upload = await engine.status(ada, early.id)

    expect(upload).toMatchObject({ state: 'completed', size: 20 })
    expect(store.objects.get(upload.key)).toEqual(Buffer.concat([a, b]))
  })

  it('takes only partial uploads of its owner, and only an allowed type', async () => {
    const { engine } = await openEngine()
    const sam = userOf('sam', 'subscriber')
    const own = await sendPartial(engine, randomBytes(10), sam)
    const theirs = await sendPartial(engine, randomBytes(10))
    const whole = await engine.create(sam, { ...file, size: 10 })

    await expect(engine.create(sam, final([own, theirs]))).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' })
    await expect(engine.create(sam, final([own, whole]))).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    await expect(engine.create(sam, { ...final([own]), contentType: 'video/mp4' })).rejects.toMatchObject({
      code: 'TYPE_NOT_ALLOWED',
    })
  })

  it('has events, and its partial uploads have none', async () => {
    const { engine, database } = await openEngine()
    const partials = [await sendPartial(engine, randomBytes(10)), await sendPartial(engine, randomBytes(10))]

    const upload = await engine.create(ada, final(partials))
    await engine.drained()

    const ids = [upload.id, ...partials.map((partial) => partial.id)]
    const events = await database.query<{ upload_id: string; type: string }>(
      {
        name: 'test-concat-events',
        text: 'select upload_id, type from upload_events where upload_id = any($1::uuid[]) order by id',
      },
      [ids],
    )
    expect(events.map((event) => event.type)).toEqual(['upload.created', 'upload.completed'])
    expect(new Set(events.map((event) => event.upload_id))).toEqual(new Set([upload.id]))
  })

  it('cannot be completed before its partial uploads', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(25)
    const { id } = await engine.create(ada, { ...unnamed, size: null, isPartial: true })
    const partial = {
      ...(await engine.append(ada, id, {
        offset: 0,
        body: bodyOf(bytes.subarray(0, 7)),
        bodySize: 7,
        ending: 'later',
      })),
    }
    const early = await engine.create(ada, final([partial]))

    await expect(engine.complete(ada, early.id)).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
    await engine.drained()

    const rest = bytes.subarray(7)
    await engine.append(ada, id, { offset: 7, body: bodyOf(rest), bodySize: 18, size: 25, ending: 'at-size' })
    expect((await engine.complete(ada, early.id)).state).toBe('completed')
    await engine.drained()
    expect([...store.objects.entries()]).toEqual([[early.key, bytes]])
  })

  it.each([
    ['while it is completed', 'read'],
    ['before that', 'createMultipart'],
  ])('is lost with a partial upload that is cancelled %s', async (_, call) => {
    const { engine, store, database } = await openEngine()
    const [a, b] = [await sendPartial(engine, randomBytes(23)), await sendPartial(engine, randomBytes(24))]
    let cancelled: Promise<void> | undefined
    store.fault = async (name, at) => {
      if (name === call && at === 'before') await (cancelled ??= engine.cancel(ada, b.id))
    }

    await expect(engine.create(ada, final([a, b]))).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
    await engine.cancel(ada, a.id)
    await engine.drained()
    await sweep(engine, uploadRepository(database), new Date())

    expect([...store.objects.keys()]).toEqual([])
    expect(store.multiparts.size).toBe(0)
    const [whole] = await engine.list(ada, { limit: 1 })
    expect(whole).toMatchObject({ state: 'failed' })
  })

  it('comes too late for partial uploads that have expired', async () => {
    const time = { now: new Date() }
    const { engine, store, database } = await openEngine({ now: () => time.now })
    const { id } = await sendPartial(engine, randomBytes(23))
    const { expiresAt } = await engine.get(ada, id)

    time.now = new Date(expiresAt!.getTime() + 1)
    await sweep(engine, uploadRepository(database), time.now)

    expect(await engine.get(ada, id)).toMatchObject({ state: 'expired' })
    expect([store.objects.size, store.multiparts.size]).toEqual([0, 0])
  })

  it('that was interrupted keeps its partial uploads from expiring', async () => {
    const time = { now: new Date() }
    const { engine, store, database } = await openEngine({ now: () => time.now })
    const partials = [await sendPartial(engine, randomBytes(23))]
    store.fault = (call) => {
      if (call === 'createMultipart') throw unavailable()
    }
    await expect(engine.create(ada, final(partials))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}

    time.now = new Date(partials[0]!.expiresAt!.getTime() + 1)
    await sweep(engine, uploadRepository(database), time.now)

    expect(await engine.create(ada, final(partials))).toMatchObject({ state: 'completed' })
  })

  it('takes no bytes', async () => {
    const { engine } = await openEngine()
    const open = await engine.create(ada, { ...unnamed, size: 10, isPartial: true })
    const whole = await engine.create(ada, final([open]))

    const patch = engine.append(ada, whole.id, {
      offset: 0,
      body: bodyOf(randomBytes(10)),
      bodySize: 10,
      ending: 'at-size',
    })

    await expect(patch).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })
})
