/*
 * CRC-32 as zlib, gzip and zip compute it. Those of consecutive ranges combine to that of all their bytes without reading one, so the
 * receipts of the parts tell the CRC-32 of the file. A CRC is a polynomial over GF(2) with its bits reflected: the highest bit is x to the
 * power of 0. Appending n bytes multiplies it by x^8n, modulo the polynomial of CRC-32.
 */

const polynomial = 0xedb88320
const one = 0x80000000

/** A range of a file: its bytes, and their CRC-32 unless it is unknown. */
export interface Summed {
  size: number | null
  crc32: number | null
}

/** The CRC-32 of bytes with the CRC-32 `a` followed by `lengthB` bytes with the CRC-32 `b`; unsigned, like both. */
export function combineCrc32(a: number, b: number, lengthB: number): number {
  return append(a, b, powerOf(lengthB))
}

/** The CRC-32 of a file from those of its ranges, in order; `null` when that of one of them is unknown. */
export function crc32OfRanges(ranges: readonly Summed[]): number | null {
  let sum = 0
  // Nearly all ranges of a file have one size.
  let power = { size: 0, value: one }
  for (const { size, crc32 } of ranges) {
    if (size === null || crc32 === null) return null
    if (size !== power.size) power = { size, value: powerOf(size) }
    sum = append(sum, crc32, power.value)
  }
  return sum
}

function append(a: number, b: number, power: number): number {
  return (multiply(power, a) ^ b) >>> 0
}

/** The product of two polynomials, modulo that of CRC-32. */
function multiply(a: number, b: number): number {
  let product = 0
  let shifted = b
  for (let rest = a; rest !== 0; rest <<= 1) {
    if (rest & one) product ^= shifted
    shifted = shifted & 1 ? (shifted >>> 1) ^ polynomial : shifted >>> 1
  }
  return product
}

/** x to the power of 8 `bytes`. */
function powerOf(bytes: number): number {
  let power = one
  // x to the power of 8, squared for every binary digit.
  let square = one >>> 8
  // Not shifted: a length may have more than 32 bits.
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = multiply(square, power)
    square = multiply(square, square)
  }
  return power
}
