import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RunningEngine } from '../../src/core/engine.ts'
import { isUploadError } from '../../src/core/errors/error.ts'
import { defaultPolicies, type PolicyDocument, type PolicyRules } from '../../src/core/policy/policy.ts'
import type { Actor, CreateUpload } from '../../src/core/upload.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { findUsageOf } from '../../src/db/usage.ts'
import { finalOf } from '../support/final-of.ts'
import { type MemoryStore, memoryStore } from '../support/memory-store.ts'
import { bodyOf, openEngine } from '../support/open-engine.ts'
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts'
import { until } from '../support/until.ts'

/** Two nodes on one real Postgres server, because creations are concurrent only there. */
let fresh: FreshDatabase
let databases: [Database, Database]

beforeAll(async () => {
  fresh = await freshDatabase({ isMigrated: true })
  const open = () =>
    openDatabase({ url: fresh.url, dataDir: '/nowhere', pool: 10, timeoutMs: 60_000, onError: console.error })
  databases = await Promise.all([open(), open()])
}, 60_000)
afterAll(async () => {
  await Promise.all(databases.map((database) => database.close()))
  await fresh.dispose()
})

const plain = { filename: 'a.bin', contentType: 'application/octet-stream' }

describe('fifty concurrent creations on two servers', () => {
  it.each([
    ['total bytes', { totalBytes: 1000 }, 'QUOTA_EXCEEDED'],
    ['bytes a day', { bytesPerDay: 1000 }, 'QUOTA_EXCEEDED'],
    ['total files', { totalFiles: 10 }, 'QUOTA_EXCEEDED'],
    ['files a day', { filesPerDay: 10 }, 'QUOTA_EXCEEDED'],
    ['uploads at once', { uploadsAtOnce: 10 }, 'RATE_LIMITED'],
    ['creations a minute', { creationsPerMinute: 10 }, 'RATE_LIMITED'],
  ] as const)('succeed exactly ten times within a quota for ten: %s', { timeout: 60_000 }, async (_, limits, code) => {
    const actor = newActor()
    const nodes = await Promise.all(databases.map((database) => node(database, actor, limits)))

    const answers = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => nodes[n % 2]!.engine.create(actor, { ...plain, size: 100 })),
    )

    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    expect(refused).toHaveLength(40)
    expect(refused.filter((reason) => !isUploadError(reason, code))).toEqual([])
    expect(new Set(refused.map((reason) => reason.facts.rule))).toEqual(new Set(Object.keys(limits)))
    expect(await usageOf(actor)).toMatchObject({ reservedBytes: 1000, openUploads: 10, openFiles: 10, dayFiles: 10 })
  })

  it('count per user and tenant', async () => {
    const one = newActor()
    const actors = [one, { ...one, tenant: 'acme' }, { ...one, tenant: 'umbrella' }, newActor()]
    const { totalBytes: _, ...creator } = defaultPolicies.roles.creator
    const policies = { ...defaultPolicies, default: { totalBytes: 1000 }, roles: { creator } }
    const { engine } = await openEngine({ database: databases[0], policies: () => policies })

    const answers = await Promise.allSettled(
      actors.flatMap((actor) => Array.from({ length: 12 }, () => engine.create(actor, { ...plain, size: 100 }))),
    )

    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(40)
  })
})

describe('a reservation', () => {
  it.each([
    ['is complete', { storedBytes: 25, storedFiles: 1, dayBytes: 25, dayFiles: 1 }, send],
    [
      'is cancelled before a byte',
      { dayBytes: 0, dayFiles: 0 },
      (at: Node, id: string) => at.engine.cancel(at.actor, id),
    ],
    [
      'is cancelled after some bytes',
      { dayBytes: 12, dayFiles: 0 },
      async (at: Node, id: string) => {
        await send(at, id, 12)
        await at.engine.cancel(at.actor, id)
      },
    ],
    [
      'expires',
      { dayBytes: 0, dayFiles: 0 },
      async (at: Node, id: string) => {
        at.time.now = new Date(Date.now() + 30 * 86_400_000)
        expect(await at.engine.expire(id)).toBe(true)
      },
    ],
    [
      'is lost by the store',
      { dayBytes: 20, dayFiles: 0 },
      async (at: Node, id: string) => {
        await send(at, id, 20)
        at.store.multiparts.clear()
        await expect(send(at, id, 5, 20)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
        await expect(send(at, id, 5, 20)).rejects.toMatchObject({ code: 'UPLOAD_LOST' })
      },
    ],
    [
      'is complete and deleted',
      { dayBytes: 25, dayFiles: 1 },
      async (at: Node, id: string) => {
        await send(at, id)
        await at.engine.cancel(at.actor, id)
      },
    ],
    [
      'is still finishing',
      { reservedBytes: 25, openUploads: 1, openFiles: 1, dayBytes: 25, dayFiles: 1 },
      async (at: Node, id: string) => {
        at.store.fault = (call, when) => {
          if (call === 'completeMultipart' && when === 'before') throw new Error('not now')
        }
        await expect(send(at, id)).rejects.toThrow()
      },
    ],
  ] as const)('is made for an upload, and settled when it %s', async (_, expected, change) => {
    const at = await node(databases[0], newActor(), { totalBytes: 1000 })
    const { id } = await at.engine.create(at.actor, { ...plain, size: 25 })
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 25, openUploads: 1, openFiles: 1, dayBytes: 25 })

    await change(at, id)
    await at.engine.drained()

    const nothing = { reservedBytes: 0, storedBytes: 0, storedFiles: 0, openUploads: 0, openFiles: 0 }
    expect(await usageOf(at.actor)).toMatchObject({ ...nothing, ...expected })
  })

  it('is released when the digest of the file does not match', async () => {
    const at = await node(databases[0], newActor(), {})
    const digests = { expected: { 'sha-256': Buffer.alloc(32).toString('base64') }, wanted: [] }
    const { id } = await at.engine.create(at.actor, { ...plain, size: 25, digests })

    await expect(send(at, id)).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' })

    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 0, storedBytes: 0, openUploads: 0 })
  })

  it('is made once for a creation whose statement ran twice', async () => {
    const at = await node(databases[0], newActor(), { totalBytes: 1000 })
    let answers = 0
    const runsTwice: Database = {
      ...databases[0],
      // The first answer to the statement is lost, so it is sent again.
      async query(statement, values) {
        const rows = await databases[0].query(statement, values)
        if (statement.name === 'upload-insert' && answers++ === 0) return databases[0].query(statement, values) as never
        return rows as never
      },
    }
    const { engine } = await openEngine({ database: runsTwice, policies: () => at.policies })

    await engine.create(at.actor, { ...plain, size: 25 })

    expect(answers).toBe(1)
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 25, openUploads: 1, dayFiles: 1 })
  })

  it('costs no query while its user is over the rate of creations', async () => {
    const at = await node(databases[0], newActor(), { creationsPerMinute: 60 })
    let queries = 0
    const counting: Database = {
      ...databases[0],
      query(statement, values) {
        queries += 1
        return databases[0].query(statement, values)
      },
    }
    const { engine } = await openEngine({ database: counting, policies: () => at.policies })
    const create = () => engine.create(at.actor, { ...plain, size: 1 })
    // One more for every second that they take.
    let refused: unknown
    while (refused === undefined)
      refused = await create().then(
        () => undefined,
        (error: unknown) => error,
      )
    queries = 0

    const flood = await Promise.allSettled(Array.from({ length: 100 }, create))

    expect(refused).toMatchObject({ code: 'RATE_LIMITED', facts: { rule: 'creationsPerMinute', retryAfter: 1 } })
    expect(flood.every((answer) => answer.status === 'rejected' && isUploadError(answer.reason, 'RATE_LIMITED'))).toBe(
      true,
    )
    expect(queries).toBe(0)
    await until(() =>
      create().then(
        () => true,
        (reason: unknown) => (isUploadError(reason, 'RATE_LIMITED') ? false : Promise.reject(reason)),
      ),
    )
    at.policies.users = { [at.actor.id]: { creationsPerMinute: null } }
    await create()
  })

  it('of yesterday is neither counted nor returned today', async () => {
    const at = await node(databases[0], newActor(), { bytesPerDay: 100, filesPerDay: 2 })
    const { id } = await at.engine.create(at.actor, { ...plain, size: 100 })
    await expect(at.engine.create(at.actor, { ...plain, size: 1 })).rejects.toMatchObject({
      facts: { rule: 'bytesPerDay' },
    })
    const yesterday = `update %s set %s where owner_id = '${at.actor.id}'`
    const run = (table: string, what: string) =>
      databases[0].executeSql(yesterday.replace('%s', table).replace('%s', what))
    await run('upload_usage', `day = day - 1`)
    await run('upload_sessions', `created_at = created_at - interval '1 day'`)

    await at.engine.create(at.actor, { ...plain, size: 60 })
    await at.engine.cancel(at.actor, id)

    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 60, dayBytes: 60, dayFiles: 1 })
    await expect(at.engine.create(at.actor, { ...plain, size: 41 })).rejects.toMatchObject({
      facts: { rule: 'bytesPerDay' },
    })
  })
})

describe('an upload of unknown length', () => {
  it('reserves what the quota has left, and may not grow beyond it', async () => {
    const at = await node(databases[0], newActor(), { totalBytes: 100, maxSize: 80 })
    const first = await at.engine.create(at.actor, { ...plain, size: null })
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 80 })
    const second = await at.engine.create(at.actor, { ...plain, size: null })
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 100 })

    await expect(at.engine.create(at.actor, { ...plain, size: null })).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
    await expect(send(at, second.id, 21, 0, { ending: 'with-body', bodySize: null })).rejects.toMatchObject({
      code: 'FILE_TOO_LARGE',
    })
    await send(at, first.id, 30, 0, { ending: 'with-body', bodySize: null })
    await at.engine.cancel(at.actor, second.id)

    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 0, storedBytes: 30, dayBytes: 30 + 20 })
  })

  it('returns the excess of its reservation once its length is known', async () => {
    const at = await node(databases[0], newActor(), { totalBytes: 100 })
    const { id } = await at.engine.create(at.actor, { ...plain, size: null })

    await send(at, id, 10, 0, { size: 40, bodySize: 10 })

    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 40, dayBytes: 40 })
    await send(at, id, 30, 10)
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 0, storedBytes: 40, storedFiles: 1, dayBytes: 40 })
  })
})

describe('a final upload', () => {
  const partial: Partial<CreateUpload> = { isPartial: true }

  it('needs no more quota than its partial uploads reserved', async () => {
    const at = await node(databases[0], newActor(), {
      totalBytes: 100,
      totalFiles: 1,
      filesPerDay: 1,
      bytesPerDay: 100,
    })
    const parts = []
    for (const size of [60, 40]) {
      const { id } = await at.engine.create(at.actor, { ...plain, ...partial, size })
      await send(at, id, size)
      parts.push(id)
    }
    expect(await usageOf(at.actor)).toMatchObject({ storedBytes: 100, storedFiles: 0, openUploads: 0, dayBytes: 100 })

    const final = await at.engine.create(at.actor, { ...plain, size: null, ...finalOf(parts) })
    await at.engine.drained()

    expect(final).toMatchObject({ state: 'completed', size: 100 })
    const whole = { reservedBytes: 0, storedBytes: 100, storedFiles: 1, openUploads: 0, openFiles: 0, dayFiles: 1 }
    expect(await usageOf(at.actor)).toMatchObject({ ...whole, dayBytes: 100 })
    await at.engine.cancel(at.actor, final.id)
    expect(await usageOf(at.actor)).toMatchObject({ storedBytes: 0, storedFiles: 0 })
  })

  it('takes over the reservations of partial uploads that are still open', async () => {
    const at = await node(databases[0], newActor(), { totalBytes: 100 })
    const parts = []
    for (const size of [60, 40]) parts.push((await at.engine.create(at.actor, { ...plain, ...partial, size })).id)

    const { id } = await at.engine.create(at.actor, { ...plain, size: null, ...finalOf(parts) })
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 100, openUploads: 3, openFiles: 1 })
    for (const [n, size] of [60, 40].entries()) await send(at, parts[n]!, size)
    expect(await at.engine.status(at.actor, id)).toMatchObject({ state: 'completed' })
    await at.engine.drained()

    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 0, storedBytes: 100, openUploads: 0, openFiles: 0 })
  })

  it('returns their reservations to its partial uploads when it is cancelled', async () => {
    const at = await node(databases[0], newActor(), { totalBytes: 150 })
    const parts = []
    for (const size of [60, 40]) parts.push((await at.engine.create(at.actor, { ...plain, ...partial, size })).id)
    await send(at, parts[0]!, 60)
    const { id } = await at.engine.create(at.actor, { ...plain, size: null, ...finalOf(parts) })

    await at.engine.cancel(at.actor, id)

    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 40, storedBytes: 60, openUploads: 1, openFiles: 0 })
    const more = at.engine.create(at.actor, { ...plain, ...partial, size: 60 })
    await expect(more).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' })
    await send(at, parts[1]!, 40)
    for (const part of parts) await at.engine.cancel(at.actor, part)
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 0, storedBytes: 0, openUploads: 0, openFiles: 0 })
  })

  it('reserves bytes of its own for a partial upload that another one took over', async () => {
    const at = await node(databases[0], newActor(), { totalBytes: 150 })
    const { id: part } = await at.engine.create(at.actor, { ...plain, ...partial, size: 100 })
    await at.engine.create(at.actor, { ...plain, size: null, ...finalOf([part]) })

    const { id: other } = await at.engine.create(at.actor, { ...plain, ...partial, size: 10 })
    const again = at.engine.create(at.actor, { ...plain, size: null, ...finalOf([part, other]) })

    await expect(again).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', facts: { rule: 'totalBytes' } })
    expect(await usageOf(at.actor)).toMatchObject({ reservedBytes: 110, openUploads: 3 })
  })
})

interface Node {
  engine: RunningEngine
  store: MemoryStore
  actor: Actor
  policies: PolicyDocument
  time: { now: Date | null }
}

async function node(database: Database, actor: Actor, limits: PolicyRules): Promise<Node> {
  const policies: PolicyDocument = { ...defaultPolicies, users: { [actor.id]: limits } }
  const time: Node['time'] = { now: null }
  const store = memoryStore()
  const now = () => time.now ?? new Date()
  const { engine } = await openEngine({ database, store, policies: () => policies, now })
  return { engine, store, actor, policies, time }
}

function newActor(): Actor {
  return { id: randomUUID(), role: 'creator', tenant: null, isAdmin: false }
}

function usageOf(actor: Actor) {
  return findUsageOf(databases[1], actor)
}

async function send(at: Node, id: string, size = 25, offset = 0, more: object = {}): Promise<void> {
  const body = bodyOf(Buffer.alloc(size, 1))
  await at.engine.append(at.actor, id, { offset, body, bodySize: size, ending: 'at-size', ...more })
}
