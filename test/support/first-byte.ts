import type { Sniffed } from '../../src/core/media/resolve.ts'

/** Detects a type by the first byte alone, so that a test can predict it. */
export async function sniffFirstByte(prefix: Buffer): Promise<Sniffed> {
  return typeOfFirstByte(prefix)
}

/** As `sniffFirstByte`, synchronously. */
export function typeOfFirstByte(prefix: Buffer): Sniffed {
  if (prefix.length === 0) return { mediaType: null, isText: true }
  return { mediaType: ['image/png', 'application/pdf', null][prefix[0]! % 3]!, isText: false }
}
