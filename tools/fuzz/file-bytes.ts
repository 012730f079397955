import type { Seeded } from '../../test/support/seeded.ts'

/** First bytes of file types, harmless and dangerous. */
const signatures = [
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

/** `count` bytes of a file: mostly text, so that `text/plain` passes the content check; else a signature and noise, or only noise. */
export function fileBytes(random: Seeded, count: number): Buffer {
  const bytes = random.bytes(count)
  const dice = random.next()
  if (dice < 0.75) return Buffer.from(bytes.map((byte) => 97 + (byte % 26)))
  if (dice < 0.9) random.pick(signatures).copy(bytes)
  return bytes
}
