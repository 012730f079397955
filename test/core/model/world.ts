import { randomUUID } from 'node:crypto'
import { matchesMediaType } from '../../../src/core/policy/categories.ts'
import type { ContentCheck } from '../../../src/core/policy/content-check.ts'
import type { PolicyDocument } from '../../../src/core/policy/policy.ts'
import { contentRules } from '../../../src/core/policy/rules/index.ts'
import type { UploadRepository } from '../../../src/core/ports/uploads.ts'
import { type Actor, userOf } from '../../../src/core/upload.ts'
import { uploadRepository } from '../../../src/db/uploads.ts'
import { finishUploads } from '../../../src/jobs/finish-uploads.ts'
import { sweep } from '../../../src/jobs/sweep.ts'
import { sweepOrphans } from '../../../src/jobs/sweep-orphans.ts'
import { sniffFirstByte } from '../../support/first-byte.ts'
import { memoryStore } from '../../support/memory-store.ts'
import { testDatabase } from '../../support/open-engine.ts'
import { type Seeded, seeded } from '../../support/seeded.ts'
import { until } from '../../support/until.ts'
import { type Node, openFaultyNode } from './faulty-node.ts'
import type { KnownUpload } from './known-upload.ts'

const hourMs = 3600_000
const timeToLiveMs = hourMs
const lossConfirmMs = 60_000

export type World = Awaited<ReturnType<typeof openWorld>>

/** Two nodes with one database, one store and one clock; the user who uploads, and the trace of what was done. */
export async function openWorld(seed: string) {
  const random = seeded(seed)
  const database = await testDatabase()
  const repository = uploadRepository(database)
  const store = memoryStore()
  // At most the size of the smallest part.
  const sniffLength = random.pick([0, 1, 5])
  const content: ContentCheck | undefined =
    sniffLength === 0 ? undefined : { sniff: sniffFirstByte, sniffLength, rules: contentRules }
  const rate = random.pick([0, 0.01, 0.03, 0.06, 0.1])
  const memory = random.pick([1024 ** 2, 1024 ** 2, 60])
  const mediaTypes = random.pick([['*/*'], ['*/*'], ['image/*', 'text/*', 'application/octet-stream']])
  const user: Actor = userOf(`${seed}/${randomUUID()}`, 'creator')
  const policies: PolicyDocument = {
    default: {},
    roles: { creator: { maxSize: 400, mediaTypes, timeToLiveMs } },
    tenants: {},
    users: {},
  }
  const uploads: KnownUpload[] = []
  const trace: string[] = []
  const falselyMissing = new Set<string>()
  const drained: Node[] = []
  const all: Node[] = []
  const startedAt = performance.now()
  let isFaultFree = false
  let shiftMs = 0
  let drains = 0
  let count = 0
  const now = () => new Date(Date.now() + shiftMs)

  const newNode = async () => {
    count += 1
    const node = await openFaultyNode({
      random: random.fork(`node ${count}`),
      store,
      database,
      rate,
      falselyMissing,
      lossConfirmMs,
      memory,
      contentCheck: content,
      now,
      policies: () => policies,
      isFaultFree: () => isFaultFree,
    })
    all.push(node)
    return node
  }
  const nodes = [await newNode(), await newNode()]

  /** Only the uploads of this world: other tests use the same database. */
  async function onlyOwn(ids: string[]): Promise<string[]> {
    const rows = await database.query<{ id: string }>(
      { name: 'test-own-uploads', text: 'select id from upload_sessions where owner_id = $1' },
      [user.id],
    )
    const known = new Set(rows.map(({ id }) => id))
    return ids.filter((id) => known.has(id))
  }
  const ownUploads: UploadRepository = {
    ...repository,
    // At once, without the idle time after which a client has given up.
    findUnfinished: async (_, limit) => onlyOwn(await repository.findUnfinished(0, limit + 1000)),
    findExpired: async (at, limit) => onlyOwn(await repository.findExpired(at, limit + 1000)),
    findNeedingCleanup: async (limit) => onlyOwn(await repository.findNeedingCleanup(limit + 1000)),
    findDeletionsDue: async (at, limit) => onlyOwn(await repository.findDeletionsDue(at, limit + 1000)),
  }

  return {
    user,
    admin: userOf('root', 'creator', { isAdmin: true }),
    store,
    database,
    repository,
    uploads,
    trace,
    random,
    now,
    checksContent: content !== undefined,
    rejectsType: (type: string) => content !== undefined && !matchesMediaType(type, mediaTypes),
    mayCreate: (type: string) => matchesMediaType(type, mediaTypes),
    isFaultFree: () => isFaultFree,
    hasClockAdvanced: () => shiftMs > 0,
    hasPaused: () => all.some((node) => node.hasPaused()),
    hasDrained: () => drains > 0,
    log(text: string) {
      trace.push(`${String(Math.round(performance.now() - startedAt)).padStart(6)} ${text}`)
    },
    /** One of the two nodes, at random; a node that died is replaced first. */
    async node(choice: Seeded): Promise<Node> {
      const index = choice.int(0, 1)
      if (nodes[index]!.isDead()) nodes[index] = await newNode()
      return nodes[index]!
    },
    /** Drains one of the nodes and starts another in its place. */
    async replace(choice: Seeded): Promise<void> {
      const index = choice.int(0, 1)
      drains += 1
      nodes[index]!.engine.drain()
      drained.push(nodes[index]!)
      nodes[index] = await newNode()
    },
    /** Moves the clock beyond the expiry of every open upload, or half as far. */
    advanceClock(choice: Seeded) {
      shiftMs += choice.pick([timeToLiveMs / 2, timeToLiveMs * 2])
    },
    /** Moves the clock so far that a second report of a loss confirms it. */
    passLossConfirmation() {
      shiftMs += lossConfirmMs
    },
    /** Moves the clock beyond the expiry of every open upload. */
    passTimeToLive() {
      shiftMs += timeToLiveMs * 2
    },
    async runJobs({ engine }: Node): Promise<void> {
      await finishUploads(engine, ownUploads)
      await sweep(engine, ownUploads, now())
      await sweepOrphans(engine, ownUploads, store)
    },
    /** Stops injecting faults, waits until the leases and part locks of dead nodes have run out, and starts a third node. */
    async endFaults(): Promise<Node> {
      isFaultFree = true
      const held = {
        name: 'test-held',
        text: `select 1 from upload_sessions s where owner_id = $1 and (lease_until > now()
          or exists (select from upload_parts p where p.upload_id = s.id and locked_until > now()))`,
      }
      for (const node of [...nodes, ...drained]) if (!node.isDead()) await node.engine.drained()
      await until(async () => (await database.query(held, [user.id])).length === 0)
      return newNode()
    },
    /** The nodes that have not died. */
    living: () => [...nodes, ...drained].filter((node) => !node.isDead()),
  }
}
