import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Bandwidth, createBandwidth } from '../../../src/core/body/bandwidth.ts'

const KiB = 1024
const MiB = 1024 ** 2

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('bandwidth', () => {
  it('is not limited without limits', () => {
    expect(createBandwidth(null).join('ada', null)).toBeNull()
  })

  it('of one user stays within their limit, however many bodies they send', async () => {
    const bandwidth = createBandwidth(null)
    const bodies = [1, 2, 3].map(() => run(bandwidth, 'ada', MiB))

    await vi.advanceTimersByTimeAsync(10_000)

    const total = bodies.reduce((sum, body) => sum + body.taken, 0)
    expect(total / MiB).toBeGreaterThan(9.5)
    expect(total / MiB).toBeLessThan(10.6)
    for (const body of bodies) expect(body.taken / total).toBeGreaterThan(0.25)
  })

  it('of all users stays within the limit of the server', async () => {
    const bandwidth = createBandwidth(10 * MiB)
    const bodies = ['ada', 'bob', 'eve'].map((user) => run(bandwidth, user, null))

    await vi.advanceTimersByTimeAsync(5000)

    const total = bodies.reduce((sum, body) => sum + body.taken, 0)
    expect(total / MiB).toBeGreaterThan(49)
    expect(total / MiB).toBeLessThan(52)
  })

  it('is shared between users, not between bodies', async () => {
    const bandwidth = createBandwidth(4 * MiB)
    const adas = Array.from({ length: 30 }, () => run(bandwidth, 'ada', null))
    const bob = run(bandwidth, 'bob', null)

    await vi.advanceTimersByTimeAsync(20_000)

    const adasTotal = adas.reduce((sum, body) => sum + body.taken, 0)
    expect(bob.taken / MiB).toBeGreaterThan(36)
    expect(adasTotal / MiB).toBeGreaterThan(36)
  })

  it('that one user does not need goes to the others', async () => {
    const bandwidth = createBandwidth(4 * MiB)
    const slow = run(bandwidth, 'ada', MiB)
    const quick = run(bandwidth, 'bob', null)

    await vi.advanceTimersByTimeAsync(10_000)

    expect(slow.taken / MiB).toBeGreaterThan(9)
    expect(slow.taken / MiB).toBeLessThan(11)
    expect(quick.taken / MiB).toBeGreaterThan(28)
  })

  it('cannot be exceeded by many short bodies', async () => {
    const bandwidth = createBandwidth(null)
    let taken = 0
    const stop = { isOver: false }
    void (async () => {
      while (!stop.isOver) {
        const pace = bandwidth.join('ada', MiB)!
        await pace.spend(0)
        taken += 64 * KiB
        void pace.spend(64 * KiB)
        pace.leave()
      }
    })()

    await vi.advanceTimersByTimeAsync(10_000)
    stop.isOver = true
    await vi.advanceTimersByTimeAsync(1000)

    expect(taken / MiB).toBeLessThan(12)
    expect(taken / MiB).toBeGreaterThan(9)
  })

  it('leaves no timer behind', async () => {
    const bandwidth = createBandwidth(MiB)
    const bodies = [run(bandwidth, 'ada', MiB), run(bandwidth, 'bob', null)]
    await vi.advanceTimersByTimeAsync(1000)

    for (const body of bodies) body.stop()
    await vi.advanceTimersByTimeAsync(1000)

    expect(vi.getTimerCount()).toBe(0)
  })

  it('releases a body that ends while it waits', async () => {
    const bandwidth = createBandwidth(null)
    const pace = bandwidth.join('ada', KiB)!
    const waiting = pace.spend(100 * KiB)

    pace.leave()

    await expect(waiting).resolves.toBeUndefined()
  })
})

/** A body that sends 16 KiB whenever it may. */
function run(bandwidth: Bandwidth, user: string, perSecond: number | null) {
  const pace = bandwidth.join(user, perSecond)!
  let isOver = false
  const body = {
    taken: 0,
    stop() {
      isOver = true
      pace.leave()
    },
  }
  void (async () => {
    await pace.spend(0)
    while (!isOver) {
      body.taken += 16 * KiB
      await (pace.spend(16 * KiB) ?? new Promise((resolve) => setTimeout(resolve, 1)))
    }
  })()
  return body
}
