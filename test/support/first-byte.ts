import type { Sniffed } from '../../src/core/content/content.ts'

/** What a file is by its first byte: enough to see whether that byte decided. */
export async function sniffFirstByte(head: Buffer): Promise<Sniffed> {
  return judgeFirstByte(head)
}

/** As `sniffFirstByte`, at once. */
export function judgeFirstByte(head: Buffer): Sniffed {
  if (head.length === 0) return { mediaType: null, isText: true }
  return { mediaType: ['image/png', 'application/pdf', null][head[0]! % 3]!, isText: false }
}
