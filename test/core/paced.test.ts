import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createBandwidth } from '../../src/core/append/bandwidth.ts'
import type { RunningEngine } from '../../src/core/engine.ts'
import { defaultPolicies, type PolicyDocument } from '../../src/core/policy/policy.ts'
import type { Actor } from '../../src/core/upload.ts'
import { bodyOf, openEngine } from '../support/open-engine.ts'

const KiB = 1024
const partSize = 64 * KiB

describe('a body', () => {
  it('comes no faster than its owner may send, and other owners do not wait for it', async () => {
    const ann = somebody()
    const { engine } = await openEngine({ partSize, policies: () => capped(ann, 512 * KiB) })

    const [slow, quick] = await Promise.all([send(engine, ann, 768), send(engine, somebody(), 768)])

    expect(slow.ms).toBeGreaterThan(1200)
    expect(slow.ms).toBeLessThan(4000)
    expect(quick.ms).toBeLessThan(1000)
    expect([slow.state, quick.state]).toEqual(['completed', 'completed'])
  })

  it('is held to the cap together with all others of its owner, numbered chunks included', async () => {
    const ann = somebody()
    const { engine } = await openEngine({ partSize, policies: () => capped(ann, 512 * KiB) })
    const wish = { filename: 'a.bin', contentType: 'application/octet-stream', size: 4 * partSize, byChunks: true }
    const { id } = await engine.create(ann, wish)
    const started = performance.now()

    await Promise.all([
      send(engine, ann, 384),
      ...[1, 2, 3, 4].map((number) => engine.writeChunk(ann, id, { number, body: inPieces(64), bodySize: partSize })),
    ])

    expect(performance.now() - started).toBeGreaterThan(950)
  })

  it('shares what the server receives in all with the bodies of others', async () => {
    const { engine } = await openEngine({ partSize, bandwidth: createBandwidth(1024 * KiB) })
    const started = performance.now()

    await Promise.all([send(engine, somebody(), 768), send(engine, somebody(), 768)])

    expect(performance.now() - started).toBeGreaterThan(1200)
  })

  it('that waits for its turn lets go at once when it is asked to, and is not thought idle', async () => {
    const ann = somebody()
    const policies = capped(ann, 1 * KiB)
    const { engine } = await openEngine({ partSize, bodyIdleMs: 200, minSpeed: 100_000, policies: () => policies })
    const { id } = await engine.create(ann, {
      filename: 'a.bin',
      contentType: 'application/octet-stream',
      size: 10 * partSize,
    })
    const sending = engine.append(ann, id, {
      offset: 0,
      body: inPieces(640),
      bodySize: 10 * partSize,
      ending: 'at-size',
    })
    const outcome = sending.catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, 600))
    const started = performance.now()

    const { offset } = await engine.describe(ann, id)

    expect(performance.now() - started).toBeLessThan(1000)
    expect(offset).toBeGreaterThan(0)
    expect(await outcome).toMatchObject({ code: 'UPLOAD_LOCKED' })
  })
})

function capped(actor: Actor, bytesPerSecond: number): PolicyDocument {
  return { ...defaultPolicies, users: { [actor.id]: { bytesPerSecond } } }
}

function somebody(): Actor {
  return { id: randomUUID(), role: 'creator', tenant: null, isAdmin: false }
}

function inPieces(kib: number) {
  return bodyOf(Array.from({ length: kib / 16 }, () => Buffer.alloc(16 * KiB, 7)))
}

async function send(engine: RunningEngine, actor: Actor, kib: number) {
  const size = kib * KiB
  const { id } = await engine.create(actor, { filename: 'a.bin', contentType: 'application/octet-stream', size })
  const started = performance.now()
  const { state } = await engine.append(actor, id, {
    offset: 0,
    body: inPieces(kib),
    bodySize: size,
    ending: 'at-size',
  })
  return { state, ms: performance.now() - started }
}
