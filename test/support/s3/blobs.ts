import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { S3Refusal } from './refusal.ts'

/** Where the stand-in keeps bytes: `hashes` forgets the bytes of parts, for uploads larger than memory. */
export type Keeping = 'memory' | 'hashes' | { directory: string }

/** Bytes at rest. `end` is exclusive. */
export interface Blob {
  size: number
  read(start: number, end: number): AsyncIterable<Buffer> | Iterable<Buffer>
  forget(): Promise<void>
}

export interface BlobWriter {
  write(chunk: Buffer): void | Promise<void>
  done(): Promise<Blob>
  drop(): Promise<void>
}

export function writeBlob(keeping: Keeping, isPart: boolean): Promise<BlobWriter> | BlobWriter {
  if (typeof keeping === 'object') return fileWriter(join(keeping.directory, randomUUID()))
  return keeping === 'hashes' && isPart ? forgetfulWriter() : memoryWriter()
}

function memoryWriter(): BlobWriter {
  const chunks: Buffer[] = []
  let size = 0
  return {
    write(chunk) {
      chunks.push(chunk)
      size += chunk.length
    },
    done: async () => ({ size, read: (start, end) => slices(chunks, start, end), forget: async () => {} }),
    drop: async () => {},
  }
}

function* slices(chunks: Buffer[], start: number, end: number): Generator<Buffer> {
  let position = 0
  for (const chunk of chunks) {
    const piece = chunk.subarray(Math.max(0, start - position), Math.max(0, end - position))
    if (piece.length > 0) yield piece
    position += chunk.length
    if (position >= end) return
  }
}

function forgetfulWriter(): BlobWriter {
  let size = 0
  return {
    write(chunk) {
      size += chunk.length
    },
    done: async () => ({
      size,
      read() {
        throw new S3Refusal('InternalError', 'The stand-in was told to keep no bytes of parts')
      },
      forget: async () => {},
    }),
    drop: async () => {},
  }
}

async function fileWriter(path: string): Promise<BlobWriter> {
  const file = await open(path, 'wx')
  let size = 0
  return {
    async write(chunk) {
      size += chunk.length
      await file.write(chunk)
    },
    async done() {
      await file.close()
      return {
        size,
        read: (start, end) =>
          end > start ? createReadStream(path, { start, end: end - 1, highWaterMark: 1 << 20 }) : [],
        forget: () => rm(path, { force: true }),
      }
    },
    async drop() {
      await file.close()
      await rm(path, { force: true })
    },
  }
}
