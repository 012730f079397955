import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { randomFile } from './random-file.ts'
import { seeded } from './seeded.ts'

describe('a seeded source', () => {
  it('repeats itself for the same seed and differs for another', () => {
    const draws = (seed: string) => {
      const source = seeded(seed)
      return [
        source.next(),
        source.int(1, 6),
        source.pick(['a', 'b', 'c']),
        source.bytes(4).toString('hex'),
        source.shuffled([1, 2, 3, 4]),
      ]
    }

    expect(draws('one')).toEqual(draws('one'))
    expect(draws('one')).not.toEqual(draws('two'))
  })

  it('draws evenly from a range, both ends included', () => {
    const source = seeded('dice')
    const counts = [0, 0, 0, 0, 0, 0]
    for (let roll = 0; roll < 60_000; roll++) {
      const face = source.int(1, 6) - 1
      counts[face] = (counts[face] ?? 0) + 1
    }

    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })

  it('is not affected by draws from its forks', () => {
    const [unforked, forked] = [seeded('root'), seeded('root')]

    const fork = forked.fork('branch')
    fork.next()

    expect(forked.next()).toBe(unforked.next())
    expect(fork.next()).not.toBe(unforked.next())
  })
})

describe('a random file', () => {
  it('has the same bytes in every range that covers them', () => {
    const file = randomFile('x', 5_000_000)

    const whole = Buffer.concat([...file.chunks()])

    expect(whole.length).toBe(5_000_000)
    for (const [start, end] of [
      [0, 1],
      [15, 17],
      [16, 16],
      [1_048_575, 2_097_153],
      [4_999_999, 9_999_999],
    ] as const)
      expect(file.slice(start, end).equals(whole.subarray(start, end))).toBe(true)
    expect(file.sha256()).toBe(createHash('sha256').update(whole).digest('hex'))
    expect(randomFile('y', 100).slice(0, 100).equals(whole.subarray(0, 100))).toBe(false)
  })

  it('streams a range', async () => {
    const file = randomFile('x', 3_000_000)
    const chunks: Buffer[] = []

    for await (const chunk of file.stream(10, 2_500_000)) chunks.push(chunk as Buffer)

    expect(Buffer.concat(chunks).equals(file.slice(10, 2_500_000))).toBe(true)
  })
})
