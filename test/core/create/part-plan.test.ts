import { describe, expect, it } from 'vitest'
import { choosePartSize } from '../../../src/core/create/part-plan.ts'

const MiB = 1024 ** 2
const TiB = 1024 ** 4
// S3: docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const limits = { minPartSize: 5 * MiB, maxPartSize: 5 * 1024 * MiB, maxParts: 10_000, maxObjectSize: 5 * TiB }
const preferred = 8 * MiB

describe('the size of parts', () => {
  it.each([
    ['a byte', 1, 8 * MiB],
    ['the largest file in preferred parts', 10_000 * 8 * MiB, 8 * MiB],
    ['a byte more', 10_000 * 8 * MiB + 1, 9 * MiB],
    ['the largest object', 5 * TiB, 525 * MiB],
  ])('for %s stays within the largest number of parts', (_, size, partSize) => {
    expect(choosePartSize({ size, preferred, limits })).toBe(partSize)
    expect(Math.ceil(size / partSize)).toBeLessThanOrEqual(limits.maxParts)
  })

  it.each([
    [6 * MiB, 6 * MiB],
    [16 * MiB, 16 * MiB],
    [100 * MiB, 12.5 * MiB],
    // No divisor is near the preferred size, or only one below the smallest.
    [104_857_601, 8 * MiB],
    [3 * MiB, 8 * MiB],
  ])('divides client requests of %i bytes where possible', (firstChunkSize, partSize) => {
    expect(choosePartSize({ size: 1024 * MiB, preferred, limits, firstChunkSize })).toBe(partSize)
  })

  it('stays within the limits of the store', () => {
    expect(choosePartSize({ size: 100, preferred: 1, limits })).toBe(5 * MiB)
    expect(choosePartSize({ size: 100, preferred: TiB, limits })).toBe(limits.maxPartSize)
  })

  it('ignores client requests that would need too many parts', () => {
    const partSize = choosePartSize({ size: TiB, preferred, limits, firstChunkSize: 6 * MiB })

    expect(Math.ceil(TiB / partSize)).toBeLessThanOrEqual(limits.maxParts)
  })
})
