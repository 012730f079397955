import { describe, expect, it } from 'vitest'
import { judge, type Sniffed } from '../../src/core/content/content.ts'
import type { Append } from '../../src/core/engine.ts'
import { isRefusal } from '../../src/core/errors.ts'
import type { Upload } from '../../src/core/upload.ts'
import { sessionsIn } from '../../src/db/sessions.ts'
import { finishUploads } from '../../src/jobs/finish-uploads.ts'
import { sweep } from '../../src/jobs/sweep.ts'
import { lookByChance, sniffFirstByte } from '../support/first-byte.ts'
import { memoryStore } from '../support/memory-store.ts'
import { mortalNode } from '../support/mortal-node.ts'
import { ada, bodyOf, brokenBody, testDatabase } from '../support/open-engine.ts'
import { type Seeded, seeded } from '../support/seeded.ts'

/*
 * Random files in random chunks, with faults at random calls to the store and the database: refused, done but the answer
 * lost, or never answered (a node that died or was paused at that very point; another one goes on). The client does what
 * a tus client does, and what it says of the file is true, false, or nothing. Whatever happens: an acknowledged byte is never
 * given back, `completed` means the object is there and what its first bytes say, and in the end nothing else is.
 */
const rounds = Number(process.env.FAULT_ROUNDS ?? 40)
const firstSeed = Number(process.env.FAULT_SEED ?? 1)

describe('an upload under faults', () => {
  it.each(Array.from({ length: rounds }, (_, index) => firstSeed + index))(
    'tells the truth and loses nothing (seed %i)',
    { timeout: 60_000 },
    async (seed) => {
      const random = seeded(seed)
      const world = await openWorld(random)
      const bytes = random.bytes(random.pick([0, 1, 9, 10, 11, 40, random.int(1, 200)]))

      const contentType = random.pick(['application/octet-stream', 'image/png', 'text/plain'])
      const upload = await sendWhole(world, contentType, bytes, random)

      expect(world.store.objects.get(upload.key)?.equals(bytes)).toBe(true)
      const taken = world.looks ? judgeWhole(contentType, bytes, await sniffFirstByte(bytes)) : contentType
      expect(upload.contentType).toBe(taken)
      expect(world.store.abouts.get(upload.key)).toEqual({ contentType: taken })
      await world.calm()
      expect(await world.strays()).toEqual([])
      expect(world.store.multiparts.size).toBe(0)
      const events = await world.eventsOf(upload.id)
      expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
      expect(events.filter((event) => event.type === 'upload.completed')).toHaveLength(1)
    },
  )
})

async function openWorld(random: Seeded) {
  const real = await testDatabase()
  const store = memoryStore()
  const rate = random.pick([0, 0.05, 0.15])
  const content = lookByChance(random)
  let isCalm = false

  const newNode = () =>
    mortalNode({ random, store, rate, content, isCalm: () => isCalm, statements: /^(session-insert|session-save)$/ })

  const nodes = [await newNode(), await newNode()]
  return {
    store,
    looks: content !== undefined,
    async engine() {
      const index = random.int(0, 1)
      if (nodes[index]!.isDead()) nodes[index] = await newNode()
      return nodes[index]!.engine
    },
    async eventsOf(id: string) {
      return real.query<{ seq: number; type: string }>(
        { name: 'test-events', text: 'select seq, type from upload_events where upload_id = $1 order by seq' },
        [id],
      )
    },
    /**
     * Objects that belong to no upload. (A creation whose answer was lost is made again: two empty files may be complete, or one
     * of them still be finished, of which nobody asks any more.)
     */
    async strays() {
      const rows = await real.query<{ key: string }>(
        { name: 'test-keys', text: `select key from upload_sessions where state in ('completed', 'finishing')` },
        [],
      )
      const completed = new Set(rows.map((row) => row.key))
      return [...store.objects.keys()].filter((key) => !completed.has(key))
    },
    /** The weather clears, leases of the dead run out, the background work runs. */
    async calm() {
      isCalm = true
      await new Promise((resolve) => setTimeout(resolve, 300))
      const { engine } = await newNode()
      await finishUploads(engine, sessionsIn(real))
      await sweep(engine, sessionsIn(real), new Date())
      await engine.idle()
    },
  }
}

/** In no bytes there is nothing that could contradict. */
function judgeWhole(contentType: string, bytes: Buffer, sniffed: Sniffed): string {
  return bytes.length === 0 ? contentType : judge(contentType, sniffed)
}

async function sendWhole(
  world: Awaited<ReturnType<typeof openWorld>>,
  contentType: string,
  bytes: Buffer,
  random: Seeded,
): Promise<Upload> {
  const isDeferred = random.chance(0.3) && bytes.length > 0
  const wish = { size: isDeferred ? null : bytes.length, filename: 'a.bin', contentType }
  let upload = await again(async () => (await world.engine()).create(ada, wish))
  let acknowledged = 0
  for (let step = 0; step < 400; step += 1) {
    try {
      upload = await answered((await world.engine()).describe(ada, upload.id))
    } catch (error) {
      if (!mayRetry(error)) throw error
      continue
    }
    expect(upload.offset).toBeGreaterThanOrEqual(acknowledged)
    acknowledged = upload.offset
    if (upload.offset === bytes.length && upload.size === bytes.length) {
      expect(upload.state).toBe('completed')
      return upload
    }
    const size = random.pick([1, 7, 10, 25, random.int(1, 200)])
    const rest = bytes.subarray(upload.offset, upload.offset + size)
    const isBroken = random.chance(0.2)
    const isEnd = upload.offset + rest.length === bytes.length
    const chunk: Append = {
      offset: upload.offset,
      body: isBroken ? brokenBody(rest.subarray(0, random.int(0, rest.length))) : bodyOf(split(rest, random)),
      bodySize: rest.length,
      ending: 'at-size',
      size: isDeferred && isEnd ? bytes.length : undefined,
    }
    try {
      upload = await answered((await world.engine()).append(ada, upload.id, chunk))
      expect(upload.offset).toBeGreaterThanOrEqual(acknowledged)
      acknowledged = upload.offset
    } catch (error) {
      if (!mayRetry(error)) throw error
    }
  }
  throw new Error(`gave up at byte ${acknowledged} of ${bytes.length}`)
}

const noAnswer = new Error('no answer')

/** A client does not wait for ever for a node that has died. */
async function answered<T>(work: Promise<T>): Promise<T> {
  return Promise.race([work, new Promise<never>((_, reject) => setTimeout(reject, 2500, noAnswer))])
}

function mayRetry(error: unknown): boolean {
  return (
    error === noAnswer ||
    isRefusal(
      error,
      'STORE_UNAVAILABLE',
      'DATABASE_ERROR',
      'UPLOAD_LOCKED',
      'OFFSET_MISMATCH',
      'BODY_TIMEOUT',
      'UPLOAD_COMPLETED',
    )
  )
}

async function again<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await answered(work())
    } catch (error) {
      if (!mayRetry(error)) throw error
    }
  }
}

function split(bytes: Buffer, random: Seeded): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = random.int(1, 16)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
