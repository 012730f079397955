import { describe, expect, it } from 'vitest'
import { createSpeed, timeLeft } from '../../src/client/speed.ts'

const MB = 1_000_000

/** Records a constant speed for `ms`, every 100 ms. */
function recordFlow(
  speed: ReturnType<typeof createSpeed>,
  from: number,
  ms: number,
  bytesPerSecond: number,
  total = 0,
): number {
  for (let at = 0; at <= ms; at += 100) speed.record(total + (bytesPerSecond * at) / 1000, from + at)
  return total + (bytesPerSecond * ms) / 1000
}

describe('the speed', () => {
  it('is unknown while there is too little data', () => {
    const speed = createSpeed()

    speed.record(0, 0)
    speed.record(5 * MB, 100)

    expect(speed.at(100)).toBeNull()
  })

  it('is accurate after the first second', () => {
    const speed = createSpeed()

    recordFlow(speed, 0, 1000, 4 * MB)

    expect(speed.at(1000)).toBeCloseTo(4 * MB, -3)
  })

  it('follows a change within seconds without jumping', () => {
    const speed = createSpeed(3000)
    const total = recordFlow(speed, 0, 20_000, 10 * MB)

    recordFlow(speed, 20_100, 300, 1 * MB, total)
    const early = speed.at(20_400)!
    recordFlow(speed, 20_500, 15_000, 1 * MB, total + 0.3 * MB)
    const late = speed.at(35_500)!

    expect(early).toBeGreaterThan(8 * MB)
    expect(late).toBeLessThan(1.5 * MB)
  })

  it('falls while no bytes are sent', () => {
    const speed = createSpeed(3000)

    recordFlow(speed, 0, 5000, 8 * MB)

    expect(speed.at(11_000)!).toBeLessThan(speed.at(5000)! / 2)
  })

  it('restarts when the total decreases', () => {
    const speed = createSpeed()

    recordFlow(speed, 0, 5000, 8 * MB)
    speed.record(2 * MB, 5100)

    expect(speed.at(5200)).toBeNull()
  })
})

describe('the time left', () => {
  it('is the remaining size divided by the speed', () => {
    expect(timeLeft(30 * MB, 10 * MB)).toBe(3000)
  })

  it.each([null, 0])('is unknown at a speed of %s', (speed) => {
    expect(timeLeft(30 * MB, speed)).toBeNull()
  })
})
