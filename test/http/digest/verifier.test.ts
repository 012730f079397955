import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestAlgorithms } from '../../../src/core/upload.ts'
import {
  type BodyAlgorithm,
  digestSizes,
  type StatedDigest,
  verifierOf,
  verifierOfTrailer,
} from '../../../src/http/digest/verifier.ts'

const chunks = ['hel', '', 'lo'].map((text) => Buffer.from(text))
const algorithms = Object.keys(digestSizes) as BodyAlgorithm[]

/** The digest of "hello". The CRC is the one that zlib and gzip compute. */
function stated(algorithm: BodyAlgorithm): StatedDigest {
  const value =
    algorithm === 'crc32'
      ? Buffer.from('3610a686', 'hex')
      : createHash(digestAlgorithms[algorithm]).update('hello').digest()
  return { algorithm, value }
}

function damaged({ algorithm, value }: StatedDigest): StatedDigest {
  const other = Buffer.from(value)
  other[other.length - 1]! ^= 1
  return { algorithm, value: other }
}

describe('the verifier of a body', () => {
  it.each(algorithms)('accepts its %s and no other', (algorithm) => {
    const right = stated(algorithm)

    expect(right.value).toHaveLength(digestSizes[algorithm])
    expect(verify([right])).toBe('accepted')
    expect(verify([damaged(right)])).toBe('CHECKSUM_MISMATCH')
    expect(verify([{ algorithm, value: right.value.subarray(1) }])).toBe('CHECKSUM_MISMATCH')
  })

  it.each(algorithms)('reads the algorithm of a trailer after the last byte: %s', (algorithm) => {
    expect(verifyTrailer(stated(algorithm))).toBe('accepted')
    expect(verifyTrailer(damaged(stated(algorithm)))).toBe('CHECKSUM_MISMATCH')
  })

  it('compares every digest that is stated', () => {
    expect(verify([stated('sha-256'), stated('md5')])).toBe('accepted')
    expect(verify([stated('sha-256'), damaged(stated('md5'))])).toBe('CHECKSUM_MISMATCH')
    expect(verify([damaged(stated('sha-256')), stated('md5')])).toBe('CHECKSUM_MISMATCH')
  })

  it('does not exist where no digest is stated', () => {
    expect(verifierOf([])).toBeUndefined()
  })
})

function verify(digests: StatedDigest[]): string {
  return outcomeOf(verifierOf(digests)!)
}

function verifyTrailer(trailer: StatedDigest): string {
  return outcomeOf(verifierOfTrailer(() => trailer))
}

function outcomeOf(verifier: { update(chunk: Buffer): void; verify(): void }): string {
  for (const chunk of chunks) verifier.update(chunk)
  try {
    verifier.verify()
    return 'accepted'
  } catch (error) {
    return (error as { code: string }).code
  }
}
