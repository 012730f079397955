import type { Sniffed } from '../../src/core/media/resolve.ts'

/** What a file is by its first byte: enough to see whether that byte decided. */
export async function sniffFirstByte(head: Buffer): Promise<Sniffed> {
  return typeOfFirstByte(head)
}

/** As `sniffFirstByte`, at once. */
export function typeOfFirstByte(head: Buffer): Sniffed {
  if (head.length === 0) return { mediaType: null, isText: true }
  return { mediaType: ['image/png', 'application/pdf', null][head[0]! % 3]!, isText: false }
}
