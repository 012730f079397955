import { describe, expect, it } from 'vitest'
import { createSpeed, timeLeft } from '../../src/client/speed.ts'

const MB = 1_000_000

/** Feeds a steady stream for `ms`, a report every 100 ms. */
function flow(
  speed: ReturnType<typeof createSpeed>,
  from: number,
  ms: number,
  bytesPerSecond: number,
  total = 0,
): number {
  for (let at = 0; at <= ms; at += 100) speed.saw(total + (bytesPerSecond * at) / 1000, from + at)
  return total + (bytesPerSecond * ms) / 1000
}

describe('the speed', () => {
  it('is not told before it can be known', () => {
    const speed = createSpeed()

    speed.saw(0, 0)
    speed.saw(5 * MB, 100)

    expect(speed.at(100)).toBeNull()
  })

  it('is right from the first second on', () => {
    const speed = createSpeed()

    flow(speed, 0, 1000, 4 * MB)

    expect(speed.at(1000)).toBeCloseTo(4 * MB, -3)
  })

  it('follows a change within seconds without jumping', () => {
    const speed = createSpeed(3000)
    const total = flow(speed, 0, 20_000, 10 * MB)

    flow(speed, 20_100, 300, 1 * MB, total)
    const soon = speed.at(20_400)!
    flow(speed, 20_500, 15_000, 1 * MB, total + 0.3 * MB)
    const later = speed.at(35_500)!

    expect(soon).toBeGreaterThan(8 * MB)
    expect(later).toBeLessThan(1.5 * MB)
  })

  it('falls while nothing comes', () => {
    const speed = createSpeed(3000)

    flow(speed, 0, 5000, 8 * MB)

    expect(speed.at(11_000)!).toBeLessThan(speed.at(5000)! / 2)
  })

  it('starts anew when the server had less than was sent', () => {
    const speed = createSpeed()

    flow(speed, 0, 5000, 8 * MB)
    speed.saw(2 * MB, 5100)

    expect(speed.at(5200)).toBeNull()
  })
})

describe('the time left', () => {
  it('is what is left at this speed', () => {
    expect(timeLeft(30 * MB, 10 * MB)).toBe(3000)
  })

  it.each([null, 0])('is not told at a speed of %s', (speed) => {
    expect(timeLeft(30 * MB, speed)).toBeNull()
  })
})
