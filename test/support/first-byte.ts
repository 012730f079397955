import type { Sniffed } from '../../src/core/content/content.ts'
import { contentRules } from '../../src/core/rules/index.ts'
import type { Seeded } from './seeded.ts'

/** What a file is by its first byte: enough to see whether that byte decided. */
export async function sniffFirstByte(head: Buffer): Promise<Sniffed> {
  return judgeFirstByte(head)
}

/** As `sniffFirstByte`, at once. */
export function judgeFirstByte(head: Buffer): Sniffed {
  if (head.length === 0) return { mediaType: null, isText: true }
  return { mediaType: ['image/png', 'application/pdf', null][head[0]! % 3]!, isText: false }
}

/** A look at as many first bytes as chance wants: few, more than a part has, more than the file has; or none at all. */
export function lookByChance(random: Seeded) {
  const headSize = random.pick([0, 1, 8, 25, 1000])
  return headSize === 0 ? undefined : { sniff: sniffFirstByte, headSize, rules: contentRules }
}
