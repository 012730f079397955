/*
 * The contract of upload repositories: whatever lock holders, part writers and jobs ask in whatever order, uploads in memory answer as
 * those in Postgres do. Each test draws operations from a seed, asks both repositories, and compares answers, rows and usage.
 */
import { beforeAll, expect, it } from 'vitest'
import { isUploadError } from '../../../src/core/errors/error.ts'
import { eventOf } from '../../../src/core/events.ts'
import type { Quota } from '../../../src/core/policy/quota.ts'
import type { PartLock, UploadPatch, UploadRepository } from '../../../src/core/ports/uploads.ts'
import type { UploadRecord, UploadState } from '../../../src/core/upload.ts'
import type { Database } from '../../../src/db/open.ts'
import { type LeaseRows, leaseRows } from '../../../src/db/uploads/lease.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { findUsageOf } from '../../../src/db/usage.ts'
import { memoryUploads } from '../../../src/testing/uploads/memory-uploads.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { type Seeded, seeded } from '../../support/seeded.ts'
import { uploadRecord } from '../../support/upload-record.ts'

interface Kind {
  uploads: UploadRepository
  leases: LeaseRows
  usage(): Promise<object>
}

let database: Database

beforeAll(async () => {
  database = await testDatabase()
})

const seeds = Array.from({ length: 10 }, (_, index) => `repository ${index}`)
const states: Partial<Record<UploadState, UploadState[]>> = {
  receiving: ['finishing', 'completed', 'cancelled', 'expired', 'failed'],
  finishing: ['completed', 'failed'],
  completed: ['cancelled'],
}
const hourMs = 3600_000
const none: Quota = {
  uploadsAtOnce: null,
  creationsPerMinute: null,
  bytesPerDay: null,
  filesPerDay: null,
  totalBytes: null,
  totalFiles: null,
}

it.each(seeds)('uploads in memory answer as those in Postgres do: %s', async (seed) => {
  const random = seeded(seed)
  const owner = { ownerId: `${seed} ${Date.now()}`, tenant: random.pick([null, 'acme']) }
  const kinds = kindsOf(owner)
  const known: string[] = []
  const trace: string[] = []

  for (let step = 0; step < 60; step += 1) {
    // Few uploads, so that much happens to each.
    const id = known.length > 0 ? random.pick(known.slice(-4)) : null
    const [name, ask] = id === null ? creation(random, owner, known) : operation(random, owner, known, id)
    const answers = []
    for (const kind of kinds) answers.push(await answerOf(kind, ask))
    trace.push(`${name} ${JSON.stringify(answers[0])}`)
    expect(answers[1], trace.join('\n')).toEqual(answers[0])

    const rows = []
    for (const { uploads, leases, usage } of kinds)
      rows.push({
        all: (await uploads.findAll(known)).map(withoutTimes).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
        parts: id && (await uploads.parts(id)),
        file: id && (await uploads.findFile(id))?.file,
        lease: id && heldOf(await leases.read(id)),
        usage: await usage(),
      })
    expect(rows[1], trace.join('\n')).toEqual(rows[0])
  }
})

function kindsOf(owner: { ownerId: string; tenant: string | null }): [Kind, Kind] {
  const memory = memoryUploads()
  const actor = { id: owner.ownerId, tenant: owner.tenant }
  return [
    {
      uploads: uploadRepository(database),
      leases: leaseRows(database, 'node'),
      usage: () => findUsageOf(database, actor),
    },
    {
      uploads: memory,
      leases: memory.leases,
      async usage() {
        const { day, ...usage } = memory.usageOf(owner) as ReturnType<typeof memory.usageOf> & { day?: string }
        return usage
      },
    },
  ]
}

type Ask = (kind: Kind) => Promise<unknown>

/** The answer, or the code and facts of the error. */
async function answerOf(kind: Kind, ask: Ask): Promise<unknown> {
  try {
    return simplified(await ask(kind))
  } catch (error) {
    if (isUploadError(error)) return { code: error.code, rule: error.facts.rule }
    throw error
  }
}

function simplified(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(simplified)
  if (answer instanceof Set) return [...answer]
  if (answer === null || typeof answer !== 'object' || !('upload' in answer)) return withoutTimes(answer)
  return { ...answer, upload: withoutTimes(answer.upload) }
}

/** When a row was changed is the only thing in which the two differ. */
function withoutTimes<T>(record: T): T {
  if (typeof record !== 'object' || record === null || !('updatedAt' in record)) return record
  return { ...record, updatedAt: null }
}

function heldOf(lease: { token: string | null; isHeld: boolean } | null) {
  return lease && { token: lease.token, isHeld: lease.isHeld }
}

const tokens = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b']

function creation(random: Seeded, owner: { ownerId: string; tenant: string | null }, known: string[]): [string, Ask] {
  const kind = random.pick(['sequential', 'sequential', 'parted', 'partial', 'final'] as const)
  const partials = known.length > 1 ? random.shuffled(known).slice(0, 2) : []
  const isFinal = kind === 'final' && partials.length > 0
  const base = {
    ...owner,
    filename: random.pick(['a', 'a', 'b']),
    fingerprint: random.pick([null, null, 'print']),
    size: random.pick([null, 40, 40]),
    createdAt: new Date(Date.now() - known.length * 1000),
    expiresAt: random.pick([null, new Date(Date.now() - hourMs), new Date(Date.now() + hourMs)]),
  }
  const upload = uploadRecord(
    isFinal
      ? ({ ...base, size: 50, kind: 'final', partials, uploadConcat: 'final;a b' } as never)
      : { ...base, kind: kind === 'parted' ? 'parted' : 'sequential', isPartial: kind === 'partial' },
  )
  const quota: Quota = {
    ...none,
    uploadsAtOnce: random.pick([null, 3, 6]),
    totalBytes: random.pick([null, 200, 400]),
    bytesPerDay: random.pick([null, 300]),
    filesPerDay: random.pick([null, 5]),
  }
  const lock = random.pick([undefined, undefined, { token: tokens[0]!, holder: 'node', ms: 60_000 }])
  const what = `insert ${kind} ${upload.id} of ${upload.size} within ${JSON.stringify(quota)}`
  return [
    what,
    async ({ uploads }) => {
      const inserted = await uploads.insert(upload, eventOf('upload.created', upload), quota, undefined, lock)
      if (!known.includes(upload.id)) known.push(upload.id)
      return inserted
    },
  ]
}

function operation(
  random: Seeded,
  owner: { ownerId: string; tenant: string | null },
  known: string[],
  id: string,
): [string, Ask] {
  const token = random.pick(tokens)
  const number = random.int(1, 3)
  const lock: PartLock = {
    number,
    token,
    ms: random.pick([60_000, -1]),
    expiresAt: random.pick([null, new Date(Date.now() + hourMs)]),
    replaces: random.chance(0.5),
  }
  const moment = new Date(Date.now() + random.pick([-2, 2]) * hourMs)
  const state = random.pick([undefined, 'receiving', 'completed', 'cancelled'] as const)
  const before = random.pick([undefined, random.pick(known)])
  const plan = random.fork(`save ${random.int(0, 1_000_000)}`)
  const lostAt = random.pick([null, 0])
  const other = tokens.find((one) => one !== token)!
  const choices: [string, Ask][] = [
    ...sequences(id, token, other, lock),
    ...Array.from({ length: 5 }, () => creation(random, owner, known)),
    [`acquire ${id}`, ({ leases }) => leases.acquire({ id, token }, 60_000)],
    [`acquire and expire ${id}`, ({ leases }) => leases.acquire({ id, token }, -1)],
    [`release ${id}`, ({ leases }) => leases.release({ id, token })],
    [`renew ${id}`, ({ leases }) => leases.renew([{ id, token }], 60_000)],
    ...Array.from({ length: 4 }, (): [string, Ask] => [`save ${id} with ${token}`, (kind) => save(kind, id, plan)]),
    [`lock part 1 of ${id}`, ({ uploads }) => uploads.acquirePartLock(id, { ...lock, number: 1, ms: 60_000 })],
    [
      `record part 1 of ${id}`,
      ({ uploads }) => uploads.recordPart(id, { number: 1, size: 10, etag: 'x', crc32: 1 }, token),
    ],
    [`lock ${JSON.stringify(lock)} of ${id}`, ({ uploads }) => uploads.acquirePartLock(id, lock)],
    [`lock part ${number} of ${id}`, ({ uploads }) => uploads.acquirePartLock(id, { ...lock, ms: 60_000 })],
    [`renew part ${number} of ${id}`, ({ uploads }) => uploads.renewPartLock(id, lock)],
    [
      `record part ${number} of ${id}`,
      ({ uploads }) => uploads.recordPart(id, { number, size: 10, etag: 'x', crc32: 1 }, token),
    ],
    [
      `record part ${number} of ${id}`,
      ({ uploads }) => uploads.recordPart(id, { number, size: 10, etag: 'x', crc32: 1 }, token),
    ],
    [`release part ${number} of ${id}`, ({ uploads }) => uploads.releasePartLock(id, lock)],
    [`is part ${number} of ${id} locked`, ({ uploads }) => uploads.isPartLocked(id, number)],
    ...Array.from({ length: 3 }, (): [string, Ask] => [
      `lose the answer of ${id}`,
      ({ uploads }) => uploads.markAnswerLost(id, lostAt),
    ]),
    [`clear the lost answer of ${id}`, ({ uploads }) => uploads.clearAnswerLost(id)],
    ['find repetitions', async ({ uploads }) => uploads.findRepeated({ ...(await uploads.find(id))!, size: null })],
    ['find the lost creation', async ({ uploads }) => uploads.findLostCreation((await uploads.find(id))!)],
    ['find repetitions', async ({ uploads }) => uploads.findRepeated((await uploads.find(id))!)],
    [`is the cancellation of ${id} lost`, ({ uploads }) => uploads.isCancellationLost(id)],
    [`mark ${id} as written`, ({ uploads }) => uploads.markWriting(id, lock.expiresAt)],
    [`mark ${id} for clean-up`, ({ uploads }) => uploads.markNeedsCleanup(id, token)],
    [`mark ${id} as cleaned up`, async ({ uploads }) => uploads.markCleanedUp(id, await uploads.cleanupVersion(id))],
    [`mark ${id} as cleaned up too late`, ({ uploads }) => uploads.markCleanedUp(id, '0.5')],
    [`delete ${id}`, ({ uploads }) => uploads.scheduleDeletion(id, moment)],
    [`revoke the links of ${id}`, ({ uploads }) => uploads.revokeLinks(id)],
    [`name ${id}`, ({ uploads }) => uploads.setFingerprint(id, 'print')],
    [`shrink ${id}`, ({ uploads }) => uploads.shrinkReservation(id)],
    ['count repeated bytes', ({ uploads }) => uploads.countRepeatedBytes(owner, 3)],
    ['list', ({ uploads }) => uploads.list(owner, { limit: 4, before, state, fingerprint: undefined })],
    ['list a file', ({ uploads }) => uploads.list(owner, { limit: 4, before, state, fingerprint: 'print' })],
    [`read ${id}`, ({ uploads }) => uploads.find(id)],
    [`read ${id} unlocked`, ({ uploads }) => uploads.findUnlocked(id)],
    [`read ${id} with its parts`, ({ uploads }) => uploads.findWithParts(id)],
    [
      'find the final upload',
      async ({ uploads }) => {
        const upload = (await uploads.find(id))!
        return uploads.findFinal(owner, upload.kind === 'final' ? upload.partials : [id])
      },
    ],
    ['find what has ended', ({ uploads }) => own(known, uploads.findEnded(known))],
    ['find what has expired', ({ uploads }) => own(known, uploads.findExpired(moment, 1000))],
    ['find what is unfinished', ({ uploads }) => own(known, uploads.findUnfinished(-1000, 1000))],
    ['find what needs clean-up', ({ uploads }) => own(known, uploads.findNeedingCleanup(1000))],
    ['find what is to be deleted', ({ uploads }) => own(known, uploads.findDeletionsDue(moment, 1000))],
  ]
  return random.pick(choices)
}

/** What one request does after another, which operations drawn one by one seldom become. */
function sequences(id: string, token: string, other: string, lock: PartLock): [string, Ask][] {
  const part = { ...lock, ms: 60_000, replaces: true }
  const receipt = { number: lock.number, size: 10, etag: 'z', crc32: 2 }
  /** Each in turn, with a lease that it takes. */
  const saves =
    (...patches: ((upload: UploadRecord) => UploadPatch)[]): Ask =>
    async ({ uploads, leases }) => {
      const answers = []
      for (const patch of patches) {
        const locked = await leases.acquire({ id, token }, 60_000)
        if (!locked) return [...answers, 'held']
        const { upload, revision } = locked
        answers.push(await uploads.save(upload, { token, revision }, { ...patch(upload), release: true }))
      }
      return answers
    }
  const complete = (upload: UploadRecord): UploadPatch => {
    if (upload.state !== 'receiving' || upload.size === null) return {}
    const event = eventOf('upload.completed', upload)
    return { state: 'completed', offset: upload.size, etag: 'e', completedAt: new Date(0), event }
  }
  const cancel = (upload: UploadRecord): UploadPatch =>
    upload.state === 'completed' || upload.state === 'receiving'
      ? { state: 'cancelled', deleteDueAt: new Date(0), event: eventOf('upload.cancelled', upload) }
      : {}
  const restore = (upload: UploadRecord): UploadPatch =>
    upload.state === 'cancelled' && upload.completedAt ? { state: 'completed', deleteDueAt: null } : {}
  return [
    [`complete ${id}`, saves(complete)],
    [`complete and delete ${id}`, saves(complete, cancel)],
    [`complete, delete and restore ${id}`, saves(complete, cancel, restore)],
    [
      `take ${id} over`,
      async ({ leases }) => [
        await leases.acquire({ id, token }, -1),
        await leases.acquire({ id, token: other }, 60_000),
        await leases.release({ id, token: other }),
      ],
    ],
    [
      `lock a part of ${id} while its lease has expired, then save`,
      async ({ uploads, leases }) => {
        const locked = await leases.acquire({ id, token }, -1)
        const answer = await uploads.acquirePartLock(id, part)
        if (!locked) return answer
        const { upload, revision } = locked
        return [answer, await uploads.save(upload, { token, revision }, { offset: 1, release: true })]
      },
    ],
    [
      `write a part of ${id}`,
      async ({ uploads }) => [
        await uploads.acquirePartLock(id, part),
        await uploads.findUnlocked(id),
        await uploads.find(id),
        await uploads.recordPart(id, receipt, part.token),
        await uploads.findWithParts(id),
      ],
    ],
    [
      `lose the answers of ${id} while it is held, and after`,
      async ({ uploads, leases }) => {
        await leases.acquire({ id, token }, 60_000)
        await uploads.markAnswerLost(id, 0)
        const held = await uploads.findRepeated((await uploads.find(id))!)
        await uploads.markAnswerLost(id, null)
        const again = await uploads.findRepeated((await uploads.find(id))!)
        await leases.release({ id, token })
        return [held, again, await uploads.findLostCreation((await uploads.find(id))!)]
      },
    ],
    [
      `clean ${id} up`,
      async ({ uploads }) => {
        const early = await uploads.cleanupVersion(id)
        await uploads.markNeedsCleanup(id, token)
        await uploads.markCleanedUp(id, early)
        const between = await uploads.find(id)
        await uploads.markCleanedUp(id, await uploads.cleanupVersion(id))
        return [between, await uploads.find(id)]
      },
    ],
  ]
}

async function own(known: string[], ids: Promise<string[]>): Promise<string[]> {
  return (await ids).filter((id) => known.includes(id)).toSorted()
}

/** Saves something as the holder of the lease, and now and then as another. */
async function save({ uploads, leases }: Kind, id: string, plan: Seeded): Promise<unknown> {
  const random = seeded(plan.seed)
  const lease = (await leases.read(id))!
  const token = random.chance(0.9) ? lease.token : tokens[0]
  const locked = token
    ? await leases.acquire({ id, token }, 60_000)
    : await leases.acquire({ id, token: tokens[1]! }, 60_000)
  if (!locked) return 'not locked'
  const { upload, revision } = locked
  const fence = { token: token ?? tokens[1]!, revision: random.chance(0.9) ? revision : revision + 1 }
  return uploads.save(upload, fence, patchOf(upload, random))
}

function patchOf(upload: UploadRecord, random: Seeded): UploadPatch {
  const release = random.chance(0.8)
  if (random.chance(0.4)) {
    const state = random.pick(states[upload.state] ?? [upload.state])
    if (state === upload.state || (state === 'completed' && upload.size === null)) return { failure: null, release }
    const event = state === 'finishing' ? undefined : eventOf(`upload.${state}` as 'upload.failed', upload)
    const whole = state === 'completed' ? { offset: upload.size!, etag: 'e', crc32: 5, completedAt: new Date(0) } : {}
    return { ...whole, state, event, release, failure: state === 'failed' ? 'lost' : null }
  }
  if (upload.kind !== 'final' && random.chance(0.3))
    return {
      kind: 'parted',
      parts: [{ number: random.int(1, 3), size: 10, etag: 'y', crc32: null }],
      release,
    } as UploadPatch
  if (random.chance(0.2)) return { forget: [random.int(1, 3)], release }
  return {
    offset: random.int(0, Math.min(30, upload.size ?? 30)),
    tail: random.pick([[], [{ key: 'tail', size: 3 }]]),
    prefix: random.pick([null, Buffer.from('first')]),
    size: upload.size ?? random.pick([null, 50]),
    expiresAt: random.pick([null, new Date(0)]),
    release,
  }
}
