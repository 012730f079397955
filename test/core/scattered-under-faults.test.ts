import { describe, expect, it } from 'vitest'
import { judge } from '../../src/core/content/content.ts'
import type { RunningEngine } from '../../src/core/engine.ts'
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
 * Random files in chunks that come in any order, beside each other, twice, through two nodes, now and then beside appended
 * bytes, with faults at random calls: refused, done but the answer lost, or never answered. Whatever happens, `completed`
 * means the very file, no upload is lost to a race, and in the end nothing else is there.
 */
const rounds = Number(process.env.FAULT_ROUNDS ?? 12)
const firstSeed = Number(process.env.FAULT_SEED ?? 1)
const partSize = 10
const claimMs = 150

describe('chunks under faults', () => {
  it.each(Array.from({ length: rounds }, (_, index) => firstSeed + index))(
    'make the very file, or none yet (seed %i)',
    { timeout: 60_000 },
    async (seed) => {
      const random = seeded(`scattered/${seed}`)
      const world = await openWorld(random)
      const bytes = random.bytes(random.int(1, 80))

      const what = judge('application/octet-stream', await sniffFirstByte(bytes))
      const contentType = random.pick(['application/octet-stream', what])
      const { key, ...upload } = await sendInChunks(world, contentType, bytes, random)

      expect(world.store.objects.get(key)?.equals(bytes)).toBe(true)
      expect(upload.contentType).toBe(world.looks ? what : contentType)
      await world.calm()
      expect([...world.store.objects.keys()]).toEqual([key])
      expect(world.store.multiparts.size).toBe(0)
    },
  )
})

async function openWorld(random: Seeded) {
  const real = await testDatabase()
  const store = memoryStore()
  const rate = random.pick([0, 0.05, 0.12])
  const content = lookByChance(random)
  let isCalm = false

  const newNode = () =>
    mortalNode({
      random,
      store,
      rate,
      content,
      partSize,
      claimMs,
      isCalm: () => isCalm,
      statements: /^(session-save|part-)/,
      // Time enough for others to come in between.
      delay: () => random.int(0, 3),
    })

  const nodes = [await newNode(), await newNode()]
  return {
    store,
    looks: content !== undefined,
    async engine(): Promise<RunningEngine> {
      const index = random.int(0, 1)
      if (nodes[index]!.isDead()) nodes[index] = await newNode()
      return nodes[index]!.engine
    },
    /** The weather clears, what the dead held runs out, the background work runs. */
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

async function sendInChunks(
  world: Awaited<ReturnType<typeof openWorld>>,
  contentType: string,
  bytes: Buffer,
  random: Seeded,
): Promise<Upload> {
  const wish = { size: bytes.length, filename: 'a.bin', contentType }
  const { id } = await (await world.engine()).create(ada, { ...wish, byChunks: true, ending: 'later' })
  const count = Math.ceil(bytes.length / partSize)

  async function chunk(number: number) {
    const part = bytes.subarray((number - 1) * partSize, number * partSize)
    const body = random.chance(0.1) ? brokenBody(part.subarray(0, random.int(0, part.length - 1))) : bodyOf(part)
    await attempt(async () => (await world.engine()).writeChunk(ada, id, { number, body, bodySize: part.length }))
  }

  async function appended() {
    await attempt(async () => {
      const engine = await world.engine()
      const { offset } = await engine.peek(ada, id)
      const part = bytes.subarray(offset, offset + random.int(1, 25))
      return engine.append(ada, id, { offset, body: bodyOf(part), bodySize: part.length, ending: 'later' })
    })
  }

  for (let round = 0; round < 60; round += 1) {
    const there = new Set((await (await world.engine()).chunks(ada, id)).chunks.map(({ number }) => number))
    const all = Array.from({ length: count }, (_, index) => index + 1)
    const wanted = [...all.filter((number) => !there.has(number)), ...all.filter(() => random.chance(0.15))]
    const work = random.shuffled(wanted).map((number) => chunk(number))
    if (random.chance(0.2)) work.push(appended())
    await Promise.all(work)
    const done = await attempt(async () => (await world.engine()).complete(ada, id))
    if (done?.state === 'completed') return done
  }
  throw new Error('gave up')
}

const noAnswer = new Error('no answer')
const passing = [
  'STORE_UNAVAILABLE',
  'DATABASE_ERROR',
  'UPLOAD_LOCKED',
  'OFFSET_MISMATCH',
  'BODY_TIMEOUT',
  'INVALID_REQUEST',
  'LENGTH_MISMATCH',
  'UPLOAD_COMPLETED',
] as const

/** What a client hears, `null` when it must try again; it does not wait for ever for a node that has died. */
async function attempt<T>(work: () => Promise<T>): Promise<T | null> {
  const noLonger = new Promise<never>((_, reject) => setTimeout(reject, 2500, noAnswer))
  try {
    return await Promise.race([work(), noLonger])
  } catch (error) {
    if (error === noAnswer || isRefusal(error, ...passing)) return null
    throw error
  }
}
