import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { S3Error } from './error.ts'

/** Where the stand-in keeps bytes. `hashes` discards the bytes of parts, for uploads larger than memory. */
export type KeepMode = 'memory' | 'hashes' | { directory: string }

/** Stored bytes. `end` is exclusive. */
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

export function writeBlob(keep: KeepMode, isPart: boolean): Promise<BlobWriter> | BlobWriter {
  if (typeof keep === 'object') return fileWriter(join(keep.directory, randomUUID()))
  return keep === 'hashes' && isPart ? discardingWriter() : memoryWriter()
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
    const slice = chunk.subarray(Math.max(0, start - position), Math.max(0, end - position))
    if (slice.length > 0) yield slice
    position += chunk.length
    if (position >= end) return
  }
}

function discardingWriter(): BlobWriter {
  let size = 0
  return {
    write(chunk) {
      size += chunk.length
    },
    done: async () => ({
      size,
      read() {
        throw new S3Error('InternalError', 'The stand-in is set to keep no bytes of parts')
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
