/*
 * The fault bench: clients send files through several nodes, real processes, while nodes are killed with -9 at random
 * moments, the bucket misbehaves and the wire to Postgres is cut. When the weather has cleared, what the clients were told
 * is held against what is really in the store and the database. Everything follows from a seed.
 */
import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../src/core/create-engine.ts'
import { createMemoryBudget } from '../../src/core/memory-budget.ts'
import { defaultKeyTemplate } from '../../src/core/object-key.ts'
import { defaultPolicies } from '../../src/core/policy.ts'
import type { ObjectStore } from '../../src/core/ports.ts'
import { creationRules } from '../../src/core/rules/index.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { sessionsIn } from '../../src/db/sessions.ts'
import { finishUploads } from '../../src/jobs/finish-uploads.ts'
import { sweep } from '../../src/jobs/sweep.ts'
import { leaseLocker } from '../../src/locks/lease.ts'
import { localStore } from '../../src/stores/local.ts'
import { s3Options } from '../../src/stores/s3/options.ts'
import { s3Store } from '../../src/stores/s3/store.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts'
import { freshDatabase } from '../support/postgres.ts'
import { type S3StandIn, startS3StandIn } from '../support/s3-stand-in.ts'
import { type Seeded, seeded } from '../support/seeded.ts'
import { testSecret } from '../support/tus-file.ts'
import { type Sent, sendThroughStorm } from './lean-client.ts'

export interface Storm {
  seed: string
  uploads: number
  /** Uploads at once. */
  atOnce: number
  kills: number
  /** `ceph` is a real server: TEST_S3_ENDPOINT and its keys. */
  store: 'local' | 's3' | 'ceph'
}

export interface Report {
  kills: number
  completed: number
  restarts: number
  bytes: number
  violations: string[]
}

const MiB = 1024 ** 2
const leaseMs = 3000

interface Ground {
  environment: Record<string, string>
  store: ObjectStore
  standIn: S3StandIn | null
  /** One directory is one node's. */
  nodes: number
  sizes: number[]
  chunks: number[]
  close(): Promise<void>
}

/** Lets a storm pass and reports what it broke. */
export async function weather(storm: Storm, progress: (line: string) => void = () => {}): Promise<Report> {
  const random = seeded(storm.seed)
  const ground = await openGround(storm)
  const fresh = await freshDatabase()
  const wire = await startFaultProxy(fresh.url)
  const environment = {
    JWT_SECRET: testSecret,
    DATABASE_URL: wire.inFrontOf(fresh.url),
    LEASE_TTL: `${leaseMs / 1000}s`,
    LOG_LEVEL: 'warn',
    ...ground.environment,
  }
  const nodes = await Promise.all(Array.from({ length: ground.nodes }, () => startNodeProcess({ environment })))
  try {
    const killing = keepKilling(nodes, storm.kills, random.fork('kills'), wire.cutAll, progress)
    const sent = await sendAll(storm, ground, nodes, random)
    killing.stop()
    const kills = await killing.done
    ground.standIn?.faults.clear()
    const violations = sent.flatMap((one) => one.violations)
    const log = nodes.map((node) => node.log()).join('')
    for (const bad of ['unhandledRejection', 'uncaughtException', 'TypeError', 'INTERNAL_ERROR']) {
      if (log.includes(bad))
        violations.push(`a node said ${bad}: ${log.slice(log.indexOf(bad) - 300, log.indexOf(bad) + 600)}`)
    }
    await Promise.all(nodes.map((node) => node.stop()))
    violations.push(...(await inspect(sent, ground, fresh.url)))
    return {
      kills,
      completed: sent.length,
      restarts: sent.reduce((sum, one) => sum + one.restarts, 0),
      bytes: sent.reduce((sum, one) => sum + one.file.size, 0),
      violations,
    }
  } finally {
    await Promise.all(nodes.map((node) => node.kill()))
    await wire.close()
    await ground.close()
    await fresh.dispose()
  }
}

async function openGround({ store, seed }: Storm): Promise<Ground> {
  if (store === 'local') {
    const directory = await mkdtemp(join(tmpdir(), 'landfall-storm-'))
    return {
      environment: { DATA_DIR: directory, PART_SIZE: '256KiB', LOCAL_FSYNC: 'false' },
      store: localStore({ directory: join(directory, 'files'), fsync: false }),
      standIn: null,
      nodes: 1,
      sizes: [0, 1, 1000, 262_144, 500_000, 2 * MiB, 5 * MiB],
      chunks: [1, 7000, 100_000, 262_144, MiB, 10 * MiB],
      close: () => rm(directory, { recursive: true, force: true }),
    }
  }
  const standIn = store === 's3' ? await startS3StandIn({ equalParts: true }) : null
  const settings = {
    S3_ENDPOINT: standIn?.endpoint ?? process.env.TEST_S3_ENDPOINT!,
    S3_BUCKET: standIn?.bucket ?? process.env.TEST_S3_BUCKET!,
    S3_ACCESS_KEY_ID: standIn?.accessKeyId ?? process.env.TEST_S3_ACCESS_KEY_ID!,
    S3_SECRET_ACCESS_KEY: standIn?.secretAccessKey ?? process.env.TEST_S3_SECRET_ACCESS_KEY!,
    S3_PREFIX: `storm-${createHash('sha256').update(seed).digest('hex').slice(0, 8)}-${Date.now()}/`,
  }
  const opened = s3Store(s3Options.parse(settings))
  const random = seeded(`${seed}/bucket`)
  standIn?.faults.sometimes(random.next, 0.03, [
    { status: 500 },
    { status: 503 },
    { dropConnection: true },
    { dropReply: true },
    { delayMs: 500 },
    { status: 500, perform: true },
  ])
  return {
    environment: { STORE: 's3', PART_SIZE: '5MiB', ...settings },
    store: opened,
    standIn,
    nodes: 3,
    sizes: [0, 1, 100_000, 5 * MiB, 6 * MiB, 11 * MiB, 17 * MiB],
    chunks: [1000, 300_000, 2 * MiB, 5 * MiB, 6 * MiB, 20 * MiB],
    async close() {
      await opened.close()
      await standIn?.close()
    },
  }
}

async function sendAll(
  { uploads, atOnce, seed }: Storm,
  ground: Ground,
  nodes: NodeProcess[],
  random: Seeded,
): Promise<Sent[]> {
  const sent: Sent[] = []
  let next = 0
  const urls = (chance: Seeded) => () => chance.pick(nodes).url
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < uploads) {
        const mine = random.fork(`${seed}/${next}`)
        next += 1
        sent.push(await sendThroughStorm(urls(mine.fork('nodes')), mine, ground.sizes, ground.chunks))
      }
    }),
  )
  return sent
}

/** Kills a node at random and starts it again, one after the other, until there were enough or nobody sends any more. */
function keepKilling(
  nodes: NodeProcess[],
  most: number,
  random: Seeded,
  cutAll: () => void,
  progress: (line: string) => void,
) {
  let isOver = false
  async function kill(): Promise<number> {
    let kills = 0
    while (!isOver && kills < most) {
      await new Promise((resolve) => setTimeout(resolve, random.int(50, 900)))
      const node = random.pick(nodes)
      await node.kill()
      kills += 1
      if (random.chance(0.2)) cutAll()
      await node.start()
      if (kills % 10 === 0) progress(`${kills} kills`)
    }
    return kills
  }
  return { stop: () => void (isOver = true), done: kill() }
}

/** What is really there, against what was said. */
async function inspect(sent: Sent[], ground: Ground, url: string): Promise<string[]> {
  const violations: string[] = []
  const database = await openDatabase({ url, dataDir: '', pool: 4, patienceMs: 5000, onFault: () => {} })
  // Leases of the dead run out.
  await new Promise((resolve) => setTimeout(resolve, leaseMs + 500))
  await workInTheBackground(database, ground.store)
  const rows = await database.query<{
    id: string
    key: string
    state: string
    failure: string | null
    lease_until: Date | null
    completions: number
  }>(
    {
      name: 'storm-sessions',
      text: `select id, key, state, failure, lease_until,
        (select count(*)::int from upload_events e where e.upload_id = s.id and e.type = 'upload.completed') as completions
        from upload_sessions s`,
    },
    [],
  )
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const { id, file } of sent) {
    const row = byId.get(id)
    if (row?.state !== 'completed') violations.push(`${id} was called whole and is ${row?.state}`)
    else if ((await sumOf(ground.store, row.key)) !== file.sha256()) violations.push(`${id} has a wrong hash`)
  }
  for (const row of rows) {
    if (row.lease_until) violations.push(`${row.id} is still leased`)
    if (row.completions !== (row.state === 'completed' ? 1 : 0))
      violations.push(`${row.id} is ${row.state} with ${row.completions} completions`)
    if (row.state === 'failed') violations.push(`${row.id} failed: ${row.failure}`)
  }
  // Creations whose answer was lost are empty uploads that wait for their expiry; they have nothing in the store.
  const keys = new Set(rows.filter((row) => row.state === 'completed').map((row) => row.key))
  for await (const key of ground.store.list('')) if (!keys.has(key)) violations.push(`${key} is left over`)
  for (const { key } of ground.standIn?.multiparts() ?? []) violations.push(`a multipart upload of ${key} is left over`)
  await database.close()
  return violations
}

async function workInTheBackground(database: Database, store: ObjectStore): Promise<void> {
  const locker = await leaseLocker({ database, leaseMs, waitMs: 5000, onFault: () => {} })
  const sessions = sessionsIn(database)
  const engine = createEngine({
    sessions,
    store,
    locker,
    policies: () => defaultPolicies,
    rules: creationRules,
    budget: createMemoryBudget(64 * MiB),
    keyTemplate: defaultKeyTemplate,
    partSize: 5 * MiB,
    partsInFlight: 4,
    bodyIdleMs: 5000,
    minSpeed: 0,
    finishWaitMs: 30_000,
    newId: randomUUID,
    now: () => new Date(),
    onFault: () => {},
  })
  await database.query(
    {
      name: 'storm-age',
      text: `update upload_sessions set updated_at = now() - interval '1 minute' where state = 'finishing'`,
    },
    [],
  )
  await finishUploads(engine, sessions)
  await sweep(engine, sessions, new Date())
  await engine.idle()
  await locker.close()
}

async function sumOf(store: ObjectStore, key: string): Promise<string> {
  const sum = createHash('sha256')
  try {
    for await (const chunk of store.read(key)) sum.update(chunk)
  } catch (error) {
    return String(error)
  }
  return sum.digest('hex')
}
