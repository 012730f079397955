import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createBodyGate } from '../../../src/core/body/body-gate.ts'
import type { AppendRequest, Digest, RunningEngine } from '../../../src/core/engine.ts'
import { UploadError } from '../../../src/core/errors/error.ts'
import { createMemoryBudget } from '../../../src/core/memory/memory-budget.ts'
import { defaultPolicies } from '../../../src/core/policy/policy.ts'
import type { UploadRepository } from '../../../src/core/ports/uploads.ts'
import { userOf } from '../../../src/core/upload.ts'
import type { Database } from '../../../src/db/open.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { findUsageOf } from '../../../src/db/usage.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { taken } from '../../support/arrival.ts'
import { type MemoryStore, memoryStore, unavailable } from '../../support/memory-store.ts'
import { ada, bodyOf, brokenBody, hungBody, openEngine, testDatabase } from '../../support/open-engine.ts'
import { until } from '../../support/until.ts'

const creation = (size: number | null) => ({ size, filename: 'a.bin', contentType: 'application/octet-stream' })
const createParted = (engine: RunningEngine, size: number) =>
  engine.create(ada, { ...creation(size), kind: 'parted', ending: 'later' })
const write = (engine: RunningEngine, id: string, number: number, bytes: Buffer, body: Readable = bodyOf(bytes)) =>
  engine.uploadPart(ada, id, { number, body, bodySize: bytes.length })
const patch = (engine: RunningEngine, id: string, offset: number, bytes: Buffer, more: Partial<AppendRequest> = {}) =>
  engine.append(ada, id, { offset, body: bodyOf(bytes), bodySize: bytes.length, ending: 'at-size', ...more })
const numbersOf = async (engine: RunningEngine, id: string) =>
  (await engine.listParts(ada, id)).parts.map((part) => part.number)

/** Holds the next call of this name until `release`, before or after its effect. */
function hold(store: MemoryStore, name: string, at: 'before' | 'after' = 'before') {
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  let isHolding = true
  store.fault = (call, when) => {
    if (!isHolding || call !== name || when !== at) return
    isHolding = false
    reached.resolve()
    return gate.promise
  }
  return { reached: reached.promise, release: () => gate.resolve() }
}

/** A wrapper of `real`, and a promise for when a writer has found the part lock of another one. */
function watchPartLocks(real: UploadRepository) {
  const met = Promise.withResolvers<void>()
  const uploads: UploadRepository = {
    ...real,
    async acquirePartLock(id, lock) {
      const answer = await real.acquirePartLock(id, lock)
      if (answer === 'taken') met.resolve()
      return answer
    },
    async findUnlocked(id) {
      const upload = await real.findUnlocked(id)
      if (!upload) met.resolve()
      return upload
    },
  }
  return { uploads, met: met.promise }
}

/** A node that can die: from then on none of its statements is answered, lease renewals included. */
async function mortalNode(store: MemoryStore, overrides: Parameters<typeof openEngine>[0] = {}) {
  let isDead = false
  const real = await testDatabase()
  const never = () => new Promise<never>(() => {})
  const database: Database = {
    ...real,
    query: (statement, values) => (isDead ? never() : real.query(statement, values)),
    queryOnce: (statement, values) => (isDead ? never() : real.queryOnce(statement, values)),
  }
  const { engine } = await openEngine({ store, database, isKilled: true, ...overrides })
  return {
    engine,
    die: () => {
      isDead = true
    },
  }
}

describe('an upload in numbered parts', () => {
  it('is listed as it is read by its id, without internal fields', async () => {
    const actor = userOf(`ada-${randomBytes(4).toString('hex')}`, 'creator')
    const { engine } = await openEngine()
    const ids: string[] = []
    for (const numbers of [[], [1, 2], [2], [1, 3]]) {
      const { id } = await engine.create(actor, { ...creation(35), kind: 'parted', ending: 'later' })
      for (const number of numbers)
        await engine.uploadPart(actor, id, { number, body: bodyOf(randomBytes(10)), bodySize: 10 })
      ids.unshift(id)
    }

    const listed = await engine.list(actor, { limit: 9 })
    const single = await Promise.all(ids.map((id) => engine.get(actor, id)))

    expect(listed).toEqual(single)
    expect(listed.map(({ offset }) => offset)).toEqual([10, 0, 20, 0])
    for (const upload of listed) expect(Object.keys(upload)).not.toContain('multipartId')
  })
})

describe('a node that dies while it writes a part', () => {
  it('leaves the part missing rather than recorded with other bytes', async () => {
    const store = memoryStore()
    const node = await mortalNode(store, { partLockMs: 200 })
    const { engine } = await openEngine({ store, partLockMs: 200 })
    const bytes = randomBytes(20)
    const { id, key } = await createParted(engine, 20)
    await write(engine, id, 1, randomBytes(10))
    await write(engine, id, 2, bytes.subarray(10))

    const held = hold(store, 'uploadPart', 'after')
    void write(node.engine, id, 1, bytes.subarray(0, 10))
    await held.reached
    node.die()

    expect(await numbersOf(engine, id)).toEqual([2])
    await runOut(id)
    await expect(engine.complete(ada, id)).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
    await write(engine, id, 1, bytes.subarray(0, 10))
    expect((await engine.complete(ada, id)).state).toBe('completed')
    expect(store.objects.get(key)).toEqual(bytes)
  })

  /** Ends all part locks of the upload, as if their time had passed. */
  async function runOut(id: string): Promise<void> {
    const text = `update upload_parts set locked_until = now() - interval '1 second' where upload_id = $1 and lock_token is not null`
    await (await testDatabase()).query({ name: 'test-run-out', text }, [id])
  }

  it('blocks only that part, and no longer than its part lock lasts', async () => {
    const store = memoryStore()
    const node = await mortalNode(store, { partLockMs: 300 })
    const { engine } = await openEngine({ store, partLockMs: 300 })
    const { id } = await createParted(engine, 30)
    await write(engine, id, 3, randomBytes(10))
    const held = hold(store, 'uploadPart')
    void write(node.engine, id, 1, randomBytes(10))
    await held.reached
    node.die()

    await write(engine, id, 2, randomBytes(10))
    await write(engine, id, 1, randomBytes(10))

    expect((await engine.complete(ada, id)).state).toBe('completed')
  })

  it('after it created the multipart upload leaves none behind', async () => {
    const store = memoryStore()
    const node = await mortalNode(store, { leaseMs: 200 })
    const { engine } = await openEngine({ store, leaseMs: 200 })
    const { id } = await createParted(engine, 10)
    const held = hold(store, 'createMultipart', 'after')
    void write(node.engine, id, 1, randomBytes(10))
    await held.reached
    node.die()

    await write(engine, id, 1, randomBytes(10))
    await engine.complete(ada, id)
    await engine.drained()

    expect(store.multiparts.size).toBe(0)
  })

  it('or a lost answer to CreateMultipartUpload leaves none behind either', async () => {
    const { engine, store } = await openEngine()
    const { id } = await createParted(engine, 20)
    store.fault = (call, at) => {
      if (call === 'createMultipart' && at === 'after') throw unavailable()
    }
    await expect(write(engine, id, 1, randomBytes(10))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}

    expect((await patch(engine, id, 0, randomBytes(20))).state).toBe('completed')
    await engine.drained()

    expect(store.multiparts.size).toBe(0)
  })
})

describe('two writers of one part', () => {
  it('write one after the other, and the last one counts', async () => {
    const { uploads, met } = watchPartLocks(uploadRepository(await testDatabase()))
    const { engine, store } = await openEngine({ uploads })
    const [first, second] = [randomBytes(10), randomBytes(10)]
    const { id, key } = await createParted(engine, 10)
    await write(engine, id, 1, randomBytes(10))
    const held = hold(store, 'uploadPart')
    const slow = write(engine, id, 1, first)
    await held.reached
    const quick = write(engine, id, 1, second)
    await met

    held.release()
    await Promise.all([slow, quick])
    await engine.complete(ada, id)

    expect(store.objects.get(key)).toEqual(second)
  })

  it('do not wait for each other longer than LOCK_WAIT', async () => {
    const { engine, store } = await openEngine()
    const { id } = await createParted(engine, 20)
    await write(engine, id, 2, randomBytes(10))
    const held = hold(store, 'uploadPart')
    const slow = write(engine, id, 1, randomBytes(10))
    await held.reached

    await expect(write(engine, id, 1, randomBytes(10))).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    held.release()
    await slow
    expect(await numbersOf(engine, id)).toEqual([1, 2])
  })

  it('of the same bytes cause one UploadPart', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(10)
    const { id } = await createParted(engine, 10)

    const first = await write(engine, id, 1, bytes)
    const repeated = await write(engine, id, 1, bytes)

    expect(repeated.etag).toBe(first.etag)
    expect(store.calls.filter((call) => call === 'uploadPart')).toHaveLength(1)
  })

  it('leave the part missing when the write of different bytes failed', async () => {
    const { engine, store } = await openEngine()
    const { id } = await createParted(engine, 10)
    await write(engine, id, 1, randomBytes(10))
    store.fault = (call, at) => {
      if (call === 'uploadPart' && at === 'after') throw unavailable()
    }

    await expect(write(engine, id, 1, randomBytes(10))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await numbersOf(engine, id)).toEqual([])

    store.fault = () => {}
    await write(engine, id, 1, randomBytes(10))
    expect(await numbersOf(engine, id)).toEqual([1])
  })
})

describe('a part beside an append', () => {
  it('stops the append, and the bytes of both are kept', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(40)
    const { id, key } = await createParted(engine, 40)
    const body = hungBody(bytes.subarray(0, 14))
    const hanging = patch(engine, id, 0, Buffer.alloc(0), { body, bodySize: 40 })
    const refused = expect(hanging).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    await taken(body)

    await write(engine, id, 4, bytes.subarray(30))
    await refused
    expect((await engine.get(ada, id)).offset).toBe(14)
    await patch(engine, id, 14, bytes.subarray(14, 30), { ending: 'later' })

    expect((await engine.complete(ada, id)).state).toBe('completed')
    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('stops an append that began while the part was received', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(20)
    const { id, key } = await createParted(engine, 20)
    await write(engine, id, 2, randomBytes(10))
    const body = hungBody(bytes.subarray(10, 15))
    const chunk = write(engine, id, 2, bytes.subarray(10), body)
    await taken(body)
    const appended = hungBody(bytes.subarray(0, 4))
    const hanging = patch(engine, id, 0, Buffer.alloc(0), { body: appended, bodySize: 10 })
    const refused = expect(hanging).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    await taken(appended)

    body.push(bytes.subarray(15))
    body.push(null)
    await chunk
    await refused
    await patch(engine, id, 4, bytes.subarray(4, 10), { ending: 'later' })
    await engine.complete(ada, id)

    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('is waited for while it is written to the store', async () => {
    const { uploads, met } = watchPartLocks(uploadRepository(await testDatabase()))
    const { engine, store } = await openEngine({ uploads })
    const bytes = randomBytes(20)
    const { id, key } = await createParted(engine, 20)
    await write(engine, id, 2, bytes.subarray(10))
    const held = hold(store, 'uploadPart')
    const chunk = write(engine, id, 1, bytes.subarray(0, 10))
    await held.reached
    const append = patch(engine, id, 0, randomBytes(10))
    append.catch(() => {})
    await met

    held.release()
    await chunk

    // The part has the bytes that the append would have added.
    await expect(append).rejects.toMatchObject({ code: 'OFFSET_MISMATCH', facts: { offset: 20 } })
    await engine.complete(ada, id)
    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('is not overwritten by a holder whose lease has expired', async () => {
    const { engine, store, database } = await openEngine()
    const bytes = randomBytes(20)
    const { id, key } = await createParted(engine, 20)
    await write(engine, id, 2, bytes.subarray(10))
    const held = hold(store, 'uploadPart', 'after')
    const stale = patch(engine, id, 0, randomBytes(10), { body: hungBody(randomBytes(11)), bodySize: 20 })
    const refused = expect(stale).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    await held.reached
    const other = await openEngine({ store, database })
    const expire = {
      name: 'test-expire',
      text: `update upload_sessions set lease_until = now() - interval '1 second' where id = $1`,
    }
    await database.query(expire, [id])

    await write(other.engine, id, 1, bytes.subarray(0, 10))
    held.release()
    await refused
    await other.engine.complete(ada, id)

    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('is missing while it is overwritten by an append that is not recorded', async () => {
    const store = memoryStore()
    const node = await mortalNode(store, { leaseMs: 200 })
    const { engine } = await openEngine({ store, leaseMs: 200 })
    const bytes = randomBytes(40)
    const { id, key } = await createParted(engine, 40)
    await write(engine, id, 3, randomBytes(10))
    const isOverwritten = () =>
      [...store.multiparts.values()].some(({ parts }) => parts.get(3)?.equals(bytes.subarray(20, 30)))
    const died = Promise.withResolvers<void>()
    store.fault = (call, at) => {
      if (call === 'uploadPart' && at === 'after' && isOverwritten()) {
        node.die()
        died.resolve()
        return new Promise(() => {})
      }
    }
    // Parts 2 and 3 are written concurrently; part 3 replaces the stored one.
    const dying = patch(node.engine, id, 0, Buffer.alloc(0), { body: hungBody(bytes.subarray(0, 35)), bodySize: 40 })
    dying.catch(() => {})
    await died.promise
    store.fault = () => {}

    expect(await numbersOf(engine, id)).not.toContain(3)
    const { offset } = await engine.status(ada, id)
    await patch(engine, id, offset, bytes.subarray(offset))
    expect(store.objects.get(key)).toEqual(bytes)
  })
})

describe('a part of undeclared length', () => {
  it('is refused when an append has changed the part size meanwhile', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(30)
    const { id, key } = await engine.create(ada, { ...creation(30), ending: 'later' })
    const body = hungBody(bytes.subarray(0, 10))
    const chunk = engine.uploadPart(ada, id, { number: 1, body, bodySize: null })
    await taken(body)
    await patch(engine, id, 0, bytes.subarray(0, 15))
    body.push(null)

    await expect(chunk).rejects.toMatchObject({ code: 'LENGTH_MISMATCH' })
    expect((await engine.status(ada, id)).offset).toBe(15)
    await patch(engine, id, 15, bytes.subarray(15))
    expect(store.objects.get(key)).toEqual(bytes)
  })
})

describe('a part that is replaced when all bytes are stored', () => {
  it('is waited for before the upload completes', async () => {
    const { uploads, met } = watchPartLocks(uploadRepository(await testDatabase()))
    const { engine, store } = await openEngine({ uploads })
    const { id, key } = await createParted(engine, 15)
    await patch(engine, id, 0, randomBytes(15), { ending: 'later' })
    const last = randomBytes(5)
    const partHeld = hold(store, 'uploadPart')
    const chunk = write(engine, id, 2, last)
    await partHeld.reached
    // Completing writes the last part as well.
    const completionHeld = hold(store, 'completeMultipart')
    const status = engine.status(ada, id)
    await Promise.race([completionHeld.reached, met])
    partHeld.release()
    await chunk.catch(() => {})
    completionHeld.release()

    expect((await status).state).toBe('completed')
    await chunk
    expect(store.objects.get(key)?.subarray(10)).toEqual(last)
  })
})

describe('the status of an upload that was full', () => {
  it('has the offset before a part whose replacement failed', async () => {
    const database = await testDatabase()
    const { uploads, met } = watchPartLocks(uploadRepository(database))
    let then = async () => {}
    const { engine, store } = await openEngine({
      uploads,
      database: {
        ...database,
        async query<T>(...args: Parameters<Database['query']>) {
          const rows = await database.query<T>(...args)
          // The status has read that the upload is full.
          if (args[0].name !== 'lease-read') return rows
          const next = then
          then = async () => {}
          await next()
          return rows
        },
      },
    })
    const bytes = randomBytes(20)
    const { id, key } = await createParted(engine, 20)
    await write(engine, id, 1, bytes.subarray(0, 10))
    await write(engine, id, 2, randomBytes(10))
    let failing: Promise<unknown> | undefined
    then = async () => {
      const reached = Promise.withResolvers<void>()
      store.fault = async (call) => {
        if (call !== 'uploadPart') return
        reached.resolve()
        await met
        throw unavailable()
      }
      failing = write(engine, id, 2, randomBytes(10)).catch((error: unknown) => error)
      await reached.promise
    }

    expect(await engine.status(ada, id)).toMatchObject({ state: 'receiving', offset: 10 })
    expect(await failing).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}
    await engine.drained()
    await write(engine, id, 2, bytes.subarray(10))
    await engine.complete(ada, id)
    expect(store.objects.get(key)).toEqual(bytes)
  })
})

describe('an append under a checksum, over stored parts', () => {
  const right: Digest = { update() {}, verify() {} }
  const wrong: Digest = {
    update() {},
    verify() {
      throw new UploadError('CHECKSUM_MISMATCH', 'other bytes')
    },
  }

  /** An upload of 65 bytes with 4 bytes of part 1, and parts 2, 3, 5 and 7. */
  async function halfSent() {
    const budget = createMemoryBudget(64 * 1024 ** 2)
    const { engine, store } = await openEngine({ budget })
    const bytes = randomBytes(65)
    const { id, key } = await createParted(engine, 65)
    await patch(engine, id, 0, bytes.subarray(0, 4))
    for (const number of [2, 3, 5, 7]) await write(engine, id, number, bytes.subarray(number * 10 - 10, number * 10))
    async function readState() {
      const { upload, parts: chunks } = await engine.listParts(ada, id)
      const parts = [2, 3, 5, 7].map((number) => [...store.multiparts.values()][0]!.parts.get(number))
      return { offset: upload.offset, state: upload.state, chunks, parts, objects: [...store.objects.keys()] }
    }
    return { engine, store, budget, bytes, id, key, readState }
  }

  it.each([
    ['to the end', 61, 'at-size'],
    ['over some parts', 31, 'at-size'],
    ['into the middle of a part', 42, 'later'],
  ] as const)('changes nothing when it does not match: %s', async (_what, length, ending) => {
    const { engine, id, readState, bytes, store, key, budget } = await halfSent()
    const before = await readState()

    const refused = patch(engine, id, 4, randomBytes(length), { digest: wrong, ending })

    await expect(refused).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })
    await engine.drained()
    expect(await readState()).toEqual(before)
    await patch(engine, id, 4, bytes.subarray(4))
    await engine.drained()
    expect(store.objects.get(key)).toEqual(bytes)
    expect([...store.objects.keys()]).toEqual([key])
    expect(budget.used).toBe(0)
  })

  it.each([
    [61, 61, 'at-size'],
    [36, 36, 'later'],
    // The other bytes would be the start of a stored part.
    [42, 36, 'later'],
  ] as const)('replaces them when it matches: %i bytes, of which %i count', async (length, counting, ending) => {
    const { engine, id, store, key } = await halfSent()
    const others = randomBytes(61)

    await patch(engine, id, 4, others.subarray(0, length), { digest: right, ending })
    const { offset } = await engine.get(ada, id)
    if (length < 61) await patch(engine, id, offset, others.subarray(offset - 4))
    await engine.complete(ada, id)
    await engine.drained()

    expect(offset).toBeGreaterThanOrEqual(length + 4)
    expect(store.objects.get(key)!.subarray(4, 4 + counting)).toEqual(others.subarray(0, counting))
    expect([...store.objects.keys()]).toEqual([key])
  })

  it('leaves the parts and no memory in use when the store fails', async () => {
    const { engine, id, readState, bytes, store, key, budget } = await halfSent()
    const before = await readState()
    store.fault = (call) => {
      if (call === 'put') throw unavailable()
    }

    const refused = patch(engine, id, 4, randomBytes(61), { digest: right })

    await expect(refused).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect((await readState()).chunks).toEqual(expect.arrayContaining(before.chunks))
    expect(budget.used).toBe(0)
    store.fault = () => {}
    const { offset } = await engine.get(ada, id)
    await patch(engine, id, offset, bytes.subarray(offset))
    expect(store.objects.get(key)!.subarray(10)).toEqual(bytes.subarray(10))
  })
})

describe('parts and memory', () => {
  it('are of any size and number, with a bounded budget', async () => {
    const budget = createMemoryBudget(2 * 1024 ** 2)
    const partSize = 3 * 1024 ** 2
    const { engine, store } = await openEngine({ budget, partSize })
    const bytes = randomBytes(4 * partSize + 5)
    const { id, key } = await createParted(engine, bytes.length)
    let most = 0
    const watch = setInterval(() => {
      most = Math.max(most, budget.used)
    }, 1)

    await Promise.all(
      [1, 2, 3, 4, 5].map((number) => {
        const part = bytes.subarray((number - 1) * partSize, number * partSize)
        return write(engine, id, number, part, bodyOf(split(part, 64 * 1024)))
      }),
    )
    clearInterval(watch)
    await engine.complete(ada, id)
    await engine.drained()

    expect([...store.objects.keys()]).toEqual([key])
    expect(store.objects.get(key)?.equals(bytes)).toBe(true)
    expect(most).toBeLessThan(budget.limit * 2)
    expect(budget.used).toBe(0)
  })

  it.each([
    ['stalls', (bytes: Buffer) => hungBody(bytes), 'BODY_TIMEOUT'],
    ['breaks off', (bytes: Buffer) => brokenBody(bytes), 'INVALID_REQUEST'],
    ['ends too early', (bytes: Buffer) => bodyOf(bytes), 'LENGTH_MISMATCH'],
    ['is too long', (bytes: Buffer) => bodyOf([bytes, bytes]), 'LENGTH_MISMATCH'],
  ])('a part that %s frees its memory and changes nothing', async (_what, bodyWith, code) => {
    const budget = createMemoryBudget(1024 ** 2)
    const { engine } = await openEngine({ budget, bodyIdleMs: 200 })
    const { id } = await createParted(engine, 10)
    const before = await write(engine, id, 1, randomBytes(10))

    const chunk = engine.uploadPart(ada, id, { number: 1, body: bodyWith(randomBytes(7)), bodySize: null })

    await expect(chunk).rejects.toMatchObject({ code })
    expect(budget.used).toBe(0)
    expect((await engine.listParts(ada, id)).parts).toMatchObject([{ number: 1, size: 10, etag: before.etag }])
  })

  it('a part that fails has its spilled objects removed', async () => {
    const budget = createMemoryBudget(1024)
    const { engine, store } = await openEngine({ budget, partSize: 1024 ** 2, bodyIdleMs: 300 })
    const { id } = await createParted(engine, 1024 ** 2)
    const body = hungBody(randomBytes(100_000))

    const chunk = engine.uploadPart(ada, id, { number: 1, body, bodySize: 1024 ** 2 })

    await expect(chunk).rejects.toMatchObject({ code: 'BODY_TIMEOUT' })
    await engine.drained()
    expect(store.calls).toContain('put')
    expect(store.objects.size).toBe(0)
    expect(budget.used).toBe(0)
  })

  it('the row says so before the first object is spilled', async () => {
    const budget = createMemoryBudget(1024)
    const store = memoryStore()
    const database = await testDatabase()
    const marked: boolean[] = []
    // The first answer is false, as for an upload that takes no bytes at the moment.
    const uploads: UploadRepository = {
      ...uploadRepository(database),
      async markWriting(id, expiresAt) {
        marked.push(marked.length > 0 && (await uploadRepository(database).markWriting(id, expiresAt)))
        return marked.at(-1)!
      },
    }
    const { engine } = await openEngine({ budget, partSize: 1024 ** 2, bodyIdleMs: 300, store, database, uploads })
    const { id } = await createParted(engine, 1024 ** 2)
    let wasMarked: boolean | undefined
    store.fault = (call, when) => {
      if (call === 'put' && when === 'before') wasMarked ??= marked.at(-1)
      return undefined
    }

    const chunk = write(engine, id, 1, randomBytes(1024 ** 2), hungBody(randomBytes(100_000)))

    await expect(chunk).rejects.toMatchObject({ code: 'BODY_TIMEOUT' })
    expect(wasMarked).toBe(true)
  })

  it('a part whose spilled objects are gone must be sent again', async () => {
    const budget = createMemoryBudget(1024)
    const { engine, store } = await openEngine({ budget, partSize: 1024 ** 2 })
    const { id } = await createParted(engine, 1024 ** 2)
    const held = hold(store, 'createMultipart')
    const chunk = engine.uploadPart(ada, id, {
      number: 1,
      body: bodyOf(split(randomBytes(1024 ** 2), 64 * 1024)),
      bodySize: 1024 ** 2,
    })
    const refused = expect(chunk).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    await held.reached
    store.objects.clear()

    held.release()

    await refused
    expect((await engine.get(ada, id)).state).toBe('receiving')
  })

  it('a part fails when it cannot be spilled', async () => {
    const budget = createMemoryBudget(1024)
    const { engine, store } = await openEngine({ budget, partSize: 1024 ** 2 })
    const { id } = await createParted(engine, 1024 ** 2)
    store.fault = (call) => {
      if (call === 'put') throw unavailable()
    }

    const chunk = engine.uploadPart(ada, id, {
      number: 1,
      body: bodyOf(split(randomBytes(1024 ** 2), 64 * 1024)),
      bodySize: 1024 ** 2,
    })

    await expect(chunk).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(budget.used).toBe(0)
  })
})

describe('an append and memory', () => {
  it('a body fails when it cannot be spilled', async () => {
    const budget = createMemoryBudget(1024)
    const { engine, store } = await openEngine({ budget, partSize: 1024 ** 2 })
    const { id } = await engine.create(ada, { size: 1024 ** 2, filename: 'a', contentType: 'text/plain' })
    store.fault = (call) => {
      if (call === 'put') throw unavailable()
    }

    const body = bodyOf(split(randomBytes(1024 ** 2), 64 * 1024))
    const appended = engine.append(ada, id, { offset: 0, body, bodySize: 1024 ** 2, ending: 'at-size' })

    await expect(appended).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(budget.used).toBe(0)
  })
})

describe('the end of an upload with parts under way', () => {
  it('stops the parts that are being received when it is cancelled', async () => {
    const { engine, store } = await openEngine()
    const { id } = await createParted(engine, 20)
    const body = hungBody(randomBytes(5))
    const hanging = write(engine, id, 1, randomBytes(10), body)
    const gone = expect(hanging).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
    await taken(body)

    await engine.cancel(ada, id)

    await gone
    expect(store.objects.size + store.multiparts.size).toBe(0)
  })

  it('is not answered to stopped parts when it could not be recorded', async () => {
    const real = await testDatabase()
    let isDown = false
    const database: Database = {
      ...real,
      query: (statement, values) =>
        isDown && statement.name.startsWith('upload-save')
          ? Promise.reject(new UploadError('DATABASE_ERROR', 'down'))
          : real.query(statement, values),
      queryOnce: async (statement, values) => (isDown ? undefined : real.queryOnce(statement, values)),
    }
    const { engine } = await openEngine({ database })
    const { id } = await createParted(engine, 20)
    const body = hungBody(randomBytes(5))
    const hanging = write(engine, id, 1, randomBytes(10), body)
    const stopped = expect(hanging).rejects.toMatchObject({ code: 'UPLOAD_LOCKED' })
    await taken(body)
    isDown = true

    await expect(engine.cancel(ada, id)).rejects.toMatchObject({ code: 'DATABASE_ERROR' })

    await stopped
    isDown = false
    expect((await engine.status(ada, id)).state).toBe('receiving')
  })

  it('stays cancelled when a late part finds no multipart upload', async () => {
    const { engine, store, database } = await openEngine()
    const { id } = await createParted(engine, 20)
    await write(engine, id, 2, randomBytes(10))
    const held = hold(store, 'uploadPart')
    const late = write(engine, id, 1, randomBytes(10))
    late.catch(() => {})
    await held.reached
    // As if its node had been paused until the part lock ran out.
    await database.query(
      { name: 'test-unlock', text: 'delete from upload_parts where upload_id = $1 and lock_token is not null' },
      [id],
    )
    await engine.cancel(ada, id)

    held.release()

    await expect(late).rejects.toMatchObject({ code: 'UPLOAD_GONE' })
    expect((await engine.listParts(ada, id)).upload.state).toBe('cancelled')
  })

  it('keeps the completed file when a late part finds no multipart upload', async () => {
    const { engine, store, database } = await openEngine()
    const bytes = randomBytes(10)
    const { id, key } = await createParted(engine, 10)
    await write(engine, id, 1, bytes)
    const held = hold(store, 'uploadPart')
    const late = write(engine, id, 1, randomBytes(10))
    late.catch(() => {})
    await held.reached
    const restore = {
      name: 'test-restore',
      text: `update upload_parts set lock_token = null, locked_until = null, size = 10, etag = $2 where upload_id = $1`,
    }
    const [part] = [...store.multiparts.values()].map(({ parts }) => parts.get(1)!)
    await database.query(restore, [id, createHash('md5').update(part!).digest('hex')])
    await engine.complete(ada, id)

    held.release()

    await expect(late).rejects.toMatchObject({ code: 'UPLOAD_COMPLETED' })
    expect((await engine.status(ada, id)).state).toBe('completed')
    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('waits for a part that is written to the store, and removes it too', async () => {
    const { uploads, met } = watchPartLocks(uploadRepository(await testDatabase()))
    const { engine, store } = await openEngine({ uploads })
    const { id } = await createParted(engine, 20)
    await write(engine, id, 2, randomBytes(10))
    const held = hold(store, 'uploadPart')
    const chunk = write(engine, id, 1, randomBytes(10))
    await held.reached
    const cancelled = engine.cancel(ada, id)
    await met

    held.release()
    await Promise.allSettled([chunk, cancelled])

    expect((await engine.listParts(ada, id)).upload.state).toBe('cancelled')
    expect(store.objects.size + store.multiparts.size).toBe(0)
  })

  it('by expiry is put off by every part', async () => {
    let now = Date.now()
    const { engine, database } = await openEngine({ now: () => new Date(now) })
    const { id } = await createParted(engine, 30)
    const day = 24 * 60 * 60 * 1000

    for (const number of [1, 2, 3]) {
      now += 6 * day
      await write(engine, id, number, randomBytes(10))
      await sweep(engine, uploadRepository(database), new Date(now + 6 * day))
    }

    expect((await engine.complete(ada, id)).state).toBe('completed')
  })

  it('is a loss when the store has lost the multipart upload', async () => {
    const { engine, store } = await openEngine()
    const { id } = await createParted(engine, 20)
    await write(engine, id, 1, randomBytes(10))
    store.multiparts.clear()

    await expect(write(engine, id, 2, randomBytes(10))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(write(engine, id, 2, randomBytes(10))).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
    await expect(engine.complete(ada, id)).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
  })

  it('is not caused by a server that stops: the part must be sent again', async () => {
    const budget = createMemoryBudget(1024 ** 2)
    const { engine } = await openEngine({ budget })
    const { id } = await createParted(engine, 10)
    const body = hungBody(randomBytes(5))
    const hanging = write(engine, id, 1, randomBytes(10), body)
    const refused = expect(hanging).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    await taken(body)

    engine.drain()

    await refused
    expect(budget.used).toBe(0)
    await expect(write(engine, id, 1, randomBytes(10))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  })
})

describe('an upload with all of its parts', () => {
  it('is completed by the status request of another protocol', async () => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(15)
    const { id, key } = await createParted(engine, 15)
    await write(engine, id, 2, bytes.subarray(10))
    await write(engine, id, 1, bytes.subarray(0, 10))

    const upload = await engine.status(ada, id)

    expect(upload).toMatchObject({ state: 'completed', offset: 15 })
    expect(store.objects.get(key)).toEqual(bytes)
  })

  it.each(['at-size', 'with-body'] as const)('is completed by an empty append, %s', async (ending) => {
    const { engine, store } = await openEngine()
    const bytes = randomBytes(25)
    const { id, key } = await createParted(engine, 25)
    for (const number of [3, 1, 2]) await write(engine, id, number, bytes.subarray(number * 10 - 10, number * 10))

    const upload = await patch(engine, id, 25, Buffer.alloc(0), { ending })

    expect(upload).toMatchObject({ state: 'completed', offset: 25 })
    expect(store.objects.get(key)).toEqual(bytes)
  })

  it('is completed later when the store failed at first', async () => {
    const { engine, store } = await openEngine()
    const { id } = await createParted(engine, 15)
    await write(engine, id, 2, randomBytes(5))
    await write(engine, id, 1, randomBytes(10))
    store.fault = (call) => {
      if (call === 'completeMultipart') throw unavailable()
    }

    await expect(engine.status(ada, id)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    store.fault = () => {}

    expect((await engine.status(ada, id)).state).toBe('completed')
  })

  it.each([
    ['an upload of unknown length', {}, null, 'LENGTH_MISMATCH'],
    ['an empty upload', {}, 0, 'INVALID_FIELD'],
  ])('is not %s, which takes no parts', async (_what, more, size, code) => {
    const { engine } = await openEngine()
    const { id } = await engine.create(ada, { ...creation(size), ending: 'later', ...more })

    await expect(write(engine, id, 1, randomBytes(10))).rejects.toMatchObject({ code })
  })
})

function split(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))
}

describe('a part that is being received', () => {
  it('is stopped when newer requests send the same part', async () => {
    const { engine } = await openEngine({ bodyIdleMs: 0 })
    const bytes = randomBytes(10)
    const { id } = await createParted(engine, 20)
    const ended: unknown[] = []
    const stalled: Promise<unknown>[] = []
    while (stalled.length < 6) {
      const body = hungBody(bytes.subarray(0, 3))
      stalled.push(write(engine, id, 1, bytes, body).catch((error: unknown) => void ended.push(error)))
      // Only a request that is being read can be stopped.
      await taken(body)
    }
    const other = await write(engine, id, 2, bytes)

    const newer = await write(engine, id, 1, bytes)

    await until(() => ended.length >= 5)
    expect(ended).toEqual(ended.map(() => expect.objectContaining({ code: 'UPLOAD_LOCKED' })))
    expect([newer.size, other.size]).toEqual([10, 10])
    engine.drain()
    await Promise.all(stalled)
  })

  it('is stopped for the body of another user when the gate is full', async () => {
    const budget = createMemoryBudget(1024 ** 2)
    const { engine } = await openEngine({ bodyIdleMs: 0, budget, gate: createBodyGate(2, budget) })
    const bytes = randomBytes(10)
    const { id } = await createParted(engine, 20)
    const stalled = [1, 2].map((number) =>
      write(engine, id, number, bytes, hungBody(bytes.subarray(0, 3))).catch((error: unknown) => error),
    )
    const bob = userOf('bob', 'creator')

    const created = await engine.create(bob, creation(10))
    const sent = await engine.append(bob, created.id, {
      offset: 0,
      body: bodyOf(bytes),
      bodySize: 10,
      ending: 'at-size',
    })

    expect(sent.state).toBe('completed')
    expect(await Promise.race(stalled)).toMatchObject({ code: 'OVERLOADED' })
    engine.drain()
    await Promise.all(stalled)
  })
})

describe('a part that is sent again', () => {
  it('counts for the daily bytes and is refused beyond them; missing parts are not', async () => {
    const { engine, database } = await openEngine({
      policies: () => ({ ...defaultPolicies, roles: { creator: { bytesPerDay: 40 } } }),
    })
    const ann = userOf(randomUUID(), 'creator')
    const { id } = await engine.create(ann, { ...creation(30), kind: 'parted', ending: 'later' })
    const send = (number: number) => engine.uploadPart(ann, id, { number, body: bodyOf(randomBytes(10)), bodySize: 10 })

    for (const number of [1, 1, 1]) await send(number)
    const refused = await send(1).catch((error: unknown) => error)
    for (const number of [2, 3]) await send(number)

    expect(refused).toMatchObject({ code: 'QUOTA_EXCEEDED', facts: { rule: 'bytesPerDay' } })
    expect((await findUsageOf(database, ann)).dayBytes).toBe(50)
    expect((await engine.complete(ann, id)).state).toBe('completed')
    expect((await findUsageOf(database, ann)).dayBytes).toBe(50)
  })
})
