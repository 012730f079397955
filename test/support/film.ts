import { randomBytes } from 'node:crypto'

const start = Buffer.from('\0\0\0\x18ftypisom\0\0\x02\0isomiso2mp41', 'latin1')

/** `size` bytes that begin as an MP4 does and go on like no other file. */
export function filmOf(size: number): Buffer {
  return Buffer.concat([start, randomBytes(size - start.length)])
}
