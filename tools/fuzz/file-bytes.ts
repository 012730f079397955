import type { Seeded } from '../../test/support/seeded.ts'

/** How files of some types begin, and what pretends to be harmless. */
const beginnings = [
  '%PDF-1.7\n',
  '\x89PNG\r\n\x1a\n\0\0\0\rIHDR',
  '\0\0\0\x18ftypisom\0\0\x02\0isomiso2mp41',
  'PK\x03\x04\x14\0\0\0\0\0',
  '<!doctype html><script>',
  '<svg xmlns="http://www.w3.org/2000/svg">',
  'MZ\x90\0',
  '\x7fELF\x02\x01\x01\0',
  '\xef\xbb\xbf',
  '\xff\xfe',
].map((text) => Buffer.from(text, 'latin1'))

/** `count` bytes of a file: text, mostly, so that what is said to be text is believed; else what begins like something, or noise. */
export function fileBytes(chance: Seeded, count: number): Buffer {
  const bytes = chance.bytes(count)
  const what = chance.next()
  if (what < 0.75) return Buffer.from(bytes.map((byte) => 97 + (byte % 26)))
  if (what < 0.9) chance.pick(beginnings).copy(bytes)
  return bytes
}
