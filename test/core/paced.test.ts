import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Bandwidth } from '../../src/core/body/bandwidth.ts'
import type { RunningEngine } from '../../src/core/engine.ts'
import { defaultPolicies, type PolicyDocument } from '../../src/core/policy/policy.ts'
import { type Actor, ownerKey } from '../../src/core/upload.ts'
import { bodyOf, openEngine } from '../support/open-engine.ts'
import { until } from '../support/until.ts'

const KiB = 1024
const partSize = 64 * KiB

describe('a body', () => {
  it('is limited to the bandwidth of its owner, and other owners do not wait', async () => {
    const [ann, bob] = [newUser(), newUser()]
    const bandwidth = holdingBandwidth([ann])
    const { engine } = await openEngine({ partSize, bandwidth, policies: () => capped(ann, 512 * KiB) })

    const slow = send(engine, ann, 768)
    await until(() => bandwidth.isWaiting(ann))
    const quick = await send(engine, bob, 768)

    expect(quick.state).toBe('completed')
    expect(bandwidth.spent(ann)).toBe(0)
    expect([bandwidth.capOf(ann), bandwidth.capOf(bob)]).toEqual([512 * KiB, null])
    bandwidth.release()
    expect((await slow).state).toBe('completed')
    expect(bandwidth.spent(ann)).toBe(768 * KiB)
  })

  it('shares the limit with all bodies of its owner, numbered parts included', async () => {
    const ann = newUser()
    const bandwidth = holdingBandwidth([ann])
    const { engine } = await openEngine({ partSize, bandwidth, policies: () => capped(ann, 512 * KiB) })
    const creation = {
      filename: 'a.bin',
      contentType: 'application/octet-stream',
      size: 4 * partSize,
      kind: 'parted' as const,
    }
    const { id } = await engine.create(ann, creation)

    const sending = [
      send(engine, ann, 384),
      ...[1, 2, 3, 4].map((number) => engine.uploadPart(ann, id, { number, body: bodyOfSize(64), bodySize: partSize })),
    ]
    await until(() => bandwidth.bodies(ann) === 5)

    expect(bandwidth.spent(ann)).toBe(0)
    bandwidth.release()
    await Promise.all(sending)
    expect(bandwidth.spent(ann)).toBe((384 + 4 * 64) * KiB)
  })

  it('that waits for bandwidth is not idle, and stops when another request asks', async () => {
    const ann = newUser()
    // With the real bandwidth limiter, the second chunk waits for 15 seconds at this limit.
    const policies = capped(ann, 1 * KiB)
    const { engine } = await openEngine({ partSize, bodyIdleMs: 200, minSpeed: 100_000, policies: () => policies })
    const creation = { filename: 'a.bin', contentType: 'application/octet-stream', size: 10 * partSize }
    const { id } = await engine.create(ann, creation)
    vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const body = bodyOfSize(640)
    const sending = engine.append(ann, id, { offset: 0, body, bodySize: 10 * partSize, ending: 'at-size' })
    const outcome = sending.catch((error: unknown) => error)
    await until(() => body.isPaused())

    // Longer than the idle timeout, and shorter than the wait.
    vi.advanceTimersByTime(5000)
    const { offset } = await engine.status(ann, id)

    expect(offset).toBeGreaterThan(0)
    expect(await outcome).toMatchObject({ code: 'UPLOAD_LOCKED' })
  })
})

/** A bandwidth limiter that holds the bodies of `held` before their first byte until `release`. */
function holdingBandwidth(held: Actor[]) {
  const names = new Set(held.map(ownerKey))
  const gate = Promise.withResolvers<void>()
  const joined: { user: string; perSecond: number | null; spent: number; isWaiting: boolean }[] = []
  const of = (actor: Actor) => joined.filter(({ user }) => user === ownerKey(actor))
  const bandwidth: Bandwidth = {
    join(user, perSecond) {
      const body = { user, perSecond, spent: 0, isWaiting: false }
      joined.push(body)
      return {
        spend(bytes) {
          body.spent += bytes
          if (!names.has(user)) return null
          body.isWaiting = true
          return gate.promise
        },
        leave() {},
      }
    },
  }
  return {
    ...bandwidth,
    release: () => gate.resolve(),
    bodies: (actor: Actor) => of(actor).length,
    isWaiting: (actor: Actor) => of(actor).some(({ isWaiting }) => isWaiting),
    spent: (actor: Actor) => of(actor).reduce((sum, { spent }) => sum + spent, 0),
    capOf: (actor: Actor) => of(actor)[0]?.perSecond,
  }
}

function capped(actor: Actor, bytesPerSecond: number): PolicyDocument {
  return { ...defaultPolicies, users: { [actor.id]: { bytesPerSecond } } }
}

function newUser(): Actor {
  return { id: randomUUID(), role: 'creator', tenant: null, isAdmin: false }
}

function bodyOfSize(kib: number) {
  return bodyOf(Array.from({ length: kib / 16 }, () => Buffer.alloc(16 * KiB, 7)))
}

async function send(engine: RunningEngine, actor: Actor, kib: number) {
  const size = kib * KiB
  const { id } = await engine.create(actor, { filename: 'a.bin', contentType: 'application/octet-stream', size })
  return engine.append(actor, id, { offset: 0, body: bodyOfSize(kib), bodySize: size, ending: 'at-size' })
}
