import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** The checksums S3 clients may send as `x-amz-checksum-<name>`. */
export const algorithms = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const
export type Algorithm = (typeof algorithms)[number]

export interface Summing {
  update(bytes: Buffer): void
  digest(): Buffer
}

export function isAlgorithm(name: string): name is Algorithm {
  return (algorithms as readonly string[]).includes(name)
}

/** Starts an incremental checksum. */
export function startSum(algorithm: Algorithm): Summing {
  if (algorithm === 'crc32') return crc32Sum()
  if (algorithm === 'crc32c') return tableSum(32, 0x82f63b78n)
  if (algorithm === 'crc64nvme') return tableSum(64, crc64Polynomial)
  const hash = createHash(algorithm)
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() }
}

const crc64Polynomial = 0x9a6c9329ac4bc9b5n

function crc32Sum(): Summing {
  let sum = 0
  return {
    update: (bytes) => {
      sum = crc32(bytes, sum)
    },
    digest: () => toBytes(BigInt(sum), 32),
  }
}

// Two 32-bit halves: BigInt arithmetic on every byte would be a hundred times slower.
function tableSum(width: 32 | 64, polynomial: bigint): Summing {
  const low = new Int32Array(256)
  const high = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let sum = BigInt(byte)
    for (let bit = 0; bit < 8; bit++) sum = sum & 1n ? (sum >> 1n) ^ polynomial : sum >> 1n
    low[byte] = Number(BigInt.asIntN(32, sum))
    high[byte] = Number(BigInt.asIntN(32, sum >> 32n))
  }
  let lowSum = -1
  let highSum = width === 64 ? -1 : 0
  return {
    update: (bytes) => {
      for (const byte of bytes) {
        const index = (lowSum ^ byte) & 0xff
        lowSum = ((lowSum >>> 8) | (highSum << 24)) ^ (low[index] ?? 0)
        highSum = (highSum >>> 8) ^ (high[index] ?? 0)
      }
    },
    digest: () => {
      const lower = BigInt(~lowSum >>> 0)
      return toBytes(width === 64 ? (BigInt(~highSum >>> 0) << 32n) | lower : lower, width)
    },
  }
}

function toBytes(sum: bigint, width: number): Buffer {
  return Buffer.from(sum.toString(16).padStart(width / 4, '0'), 'hex')
}

/**
 * The checksum of a multipart object from those of its parts, as S3 computes it: for COMPOSITE the checksum of the parts' checksums
 * and their count, for FULL_OBJECT that of the whole object, which only CRCs allow.
 */
export function combine(
  algorithm: Algorithm,
  type: 'COMPOSITE' | 'FULL_OBJECT',
  parts: { sum: Buffer; size: number }[],
): string {
  if (type === 'COMPOSITE') {
    const all = startSum(algorithm)
    for (const part of parts) all.update(part.sum)
    return `${all.digest().toString('base64')}-${parts.length}`
  }
  const width = algorithm === 'crc64nvme' ? 64 : 32
  const polynomial = algorithm === 'crc64nvme' ? crc64Polynomial : algorithm === 'crc32c' ? 0x82f63b78n : 0xedb88320n
  let sum = 0n
  for (const part of parts) {
    const shifted = multiply(sum, zeroes(part.size, width, polynomial), width, polynomial)
    sum = shifted ^ BigInt(`0x${part.sum.toString('hex')}`)
  }
  return toBytes(sum, width).toString('base64')
}

// Polynomials over GF(2), bits reflected: the highest bit is x to the power of 0. The same idea as zlib's crc32_combine.
function multiply(a: bigint, b: bigint, width: number, polynomial: bigint): bigint {
  let product = 0n
  for (let bit = 1n << BigInt(width - 1); bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= b
    b = b & 1n ? (b >> 1n) ^ polynomial : b >> 1n
  }
  return product
}

/** The polynomial by which a CRC is multiplied when `count` bytes follow it. */
function zeroes(count: number, width: number, polynomial: bigint): bigint {
  let power = 1n << BigInt(width - 9)
  let result = 1n << BigInt(width - 1)
  for (let rest = count; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(power, result, width, polynomial)
    power = multiply(power, power, width, polynomial)
  }
  return result
}
