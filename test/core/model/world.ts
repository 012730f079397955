import { randomUUID } from 'node:crypto'
import type { ContentCheck } from '../../../src/core/media/resolve.ts'
import type { PolicyDocument } from '../../../src/core/policy/policy.ts'
import { matchesMediaType } from '../../../src/core/policy/policy.ts'
import { contentRules } from '../../../src/core/policy/rules/index.ts'
import type { UploadRepository } from '../../../src/core/ports.ts'
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
const lifeMs = hourMs
const lossConfirmMs = 60_000

export type World = Awaited<ReturnType<typeof openWorld>>

/** Two nodes over one database and one store, their clock, the user who sends files, and what was done so far. */
export async function openWorld(seed: string) {
  const random = seeded(seed)
  const database = await testDatabase()
  const sessions = uploadRepository(database)
  const store = memoryStore()
  // No part is smaller than what is looked at.
  const headSize = random.pick([0, 1, 5])
  const content: ContentCheck | undefined =
    headSize === 0 ? undefined : { sniff: sniffFirstByte, sniffLength: headSize, rules: contentRules }
  const rate = random.pick([0, 0.01, 0.03, 0.06, 0.1])
  const memory = random.pick([1024 ** 2, 1024 ** 2, 60])
  const mediaTypes = random.pick([['*/*'], ['*/*'], ['image/*', 'text/*', 'application/octet-stream']])
  const user: Actor = userOf(`${seed}/${randomUUID()}`, 'creator')
  const policies: PolicyDocument = {
    default: {},
    roles: { creator: { maxSize: 400, mediaTypes, timeToLiveMs: lifeMs } },
    tenants: {},
    users: {},
  }
  const uploads: KnownUpload[] = []
  const story: string[] = []
  const lies = new Set<string>()
  const retired: Node[] = []
  const all: Node[] = []
  const startedAt = performance.now()
  let isCalm = false
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
      lies,
      lossConfirmMs,
      memory,
      contentCheck: content,
      now,
      policies: () => policies,
      isCalm: () => isCalm,
    })
    all.push(node)
    return node
  }
  const nodes = [await newNode(), await newNode()]

  /** Other tests have uploads of their own in the same database. */
  async function mine(ids: string[]): Promise<string[]> {
    const rows = await database.query<{ id: string }>(
      { name: 'test-mine', text: 'select id from upload_sessions where owner_id = $1' },
      [user.id],
    )
    const known = new Set(rows.map(({ id }) => id))
    return ids.filter((id) => known.has(id))
  }
  const ours: UploadRepository = {
    ...sessions,
    // Without waiting until nobody can be interested any more.
    findUnfinished: async (_, limit) => mine(await sessions.findUnfinished(0, limit + 1000)),
    findExpired: async (at, limit) => mine(await sessions.findExpired(at, limit + 1000)),
    findNeedingCleanup: async (limit) => mine(await sessions.findNeedingCleanup(limit + 1000)),
  }

  return {
    user,
    admin: userOf('root', 'creator', { isAdmin: true }),
    store,
    database,
    sessions,
    uploads,
    story,
    random,
    now,
    looks: content !== undefined,
    refuses: (type: string) => content !== undefined && !matchesMediaType(type, mediaTypes),
    mayCreate: (type: string) => matchesMediaType(type, mediaTypes),
    isCalm: () => isCalm,
    hasTravelled: () => shiftMs > 0,
    hasPaused: () => all.some((node) => node.hasPaused()),
    hasDrained: () => drains > 0,
    say(words: string) {
      story.push(`${String(Math.round(performance.now() - startedAt)).padStart(6)} ${words}`)
    },
    /** One of the two; who has died is replaced. */
    async node(choice: Seeded): Promise<Node> {
      const index = choice.int(0, 1)
      if (nodes[index]!.isDead()) nodes[index] = await newNode()
      return nodes[index]!
    },
    /** One of them ends in order, and another takes its place. */
    async replace(choice: Seeded): Promise<void> {
      const index = choice.int(0, 1)
      drains += 1
      nodes[index]!.engine.drain()
      retired.push(nodes[index]!)
      nodes[index] = await newNode()
    },
    /** Later than anything lives that is not continued, or half of that. */
    travel(choice: Seeded) {
      shiftMs += choice.pick([lifeMs / 2, lifeMs * 2])
    },
    /** So long that a store which goes on saying that something is lost is believed. */
    passPause() {
      shiftMs += lossConfirmMs
    },
    passTime() {
      shiftMs += lifeMs * 2
    },
    async runJobs({ engine }: Node): Promise<void> {
      await finishUploads(engine, ours)
      await sweep(engine, ours, now())
      await sweepOrphans(engine, ours, store)
    },
    /** The weather clears, and what the dead held runs out. */
    async calm(): Promise<Node> {
      isCalm = true
      const held = {
        name: 'test-held',
        text: `select 1 from upload_sessions s where owner_id = $1 and (lease_until > now()
          or exists (select from upload_parts p where p.upload_id = s.id and locked_until > now()))`,
      }
      for (const node of [...nodes, ...retired]) if (!node.isDead()) await node.engine.drained()
      await until(async () => (await database.query(held, [user.id])).length === 0)
      return newNode()
    },
    /** Every node that has not died. */
    living: () => [...nodes, ...retired].filter((node) => !node.isDead()),
  }
}
