import { randomBytes, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { combineCrc32, crc32OfRanges } from '../../src/core/crc32.ts'

/** `bytes` at random places, also empty ranges. */
function split(bytes: Buffer, count: number): Buffer[] {
  const cuts = Array.from({ length: count - 1 }, () => randomInt(bytes.length + 1)).sort((a, b) => a - b)
  return [0, ...cuts].map((from, at) => bytes.subarray(from, cuts[at] ?? bytes.length))
}

const summed = (bytes: Buffer) => ({ size: bytes.length, crc32: crc32(bytes) })

describe('CRC-32s of ranges', () => {
  it('combine to what zlib computes of both, wherever the bytes are split', () => {
    for (let round = 0; round < 500; round += 1) {
      const bytes = randomBytes(randomInt(5000))
      const [first, second] = split(bytes, 2)

      const combined = combineCrc32(crc32(first!), crc32(second!), second!.length)

      expect(combined).toBe(crc32(bytes))
    }
  })

  it.each([1, 2, 3, 17])('combine to what zlib computes of a file in %i ranges', (count) => {
    for (let round = 0; round < 50; round += 1) {
      const bytes = randomBytes(randomInt(20_000))

      expect(crc32OfRanges(split(bytes, count).map(summed))).toBe(crc32(bytes))
    }
  })

  it('of one size and a shorter last one combine to that of the file', () => {
    const bytes = randomBytes(10 * 1000 + 7)
    const parts = Array.from({ length: 11 }, (_, at) => bytes.subarray(at * 1000, (at + 1) * 1000))

    expect(crc32OfRanges(parts.map(summed))).toBe(crc32(bytes))
  })

  it.each([
    ['no range', 0, []],
    ['an empty range', 0, [{ size: 0, crc32: 0 }]],
    ['a range without one', null, [{ size: 3, crc32: null }]],
    ['ranges of which the last has none', null, [summed(Buffer.from('a')), { size: 3, crc32: null }]],
    ['a range of unknown length', null, [{ size: null, crc32: 7 }]],
  ])('of %s combine to %s', (_, expected, ranges) => {
    expect(crc32OfRanges(ranges)).toBe(expected)
  })

  it('combine over lengths of more than 32 bits as over the halves of them', () => {
    const [a, b, c] = [0x12345678, 0x9abcdef0, 0x0fedcba9]
    const length = 3 * 2 ** 40 + 5

    const fromLeft = combineCrc32(combineCrc32(a, b, length), c, length)
    const fromRight = combineCrc32(a, combineCrc32(b, c, length), 2 * length)

    expect(fromLeft).toBe(fromRight)
  })
})
