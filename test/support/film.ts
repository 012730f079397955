import { randomBytes } from 'node:crypto'

const start = Buffer.from('\0\0\0\x18ftypisom\0\0\x02\0isomiso2mp41', 'latin1')

/** `size` bytes that begin like an MP4 file and continue at random. */
export function filmOf(size: number): Buffer {
  return Buffer.concat([start, randomBytes(size - start.length)])
}
