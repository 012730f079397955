import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { keystream } from './seeded.ts'

const step = 1024 * 1024

/** A generated file: every byte follows from its seed and position, so even a huge file needs no disk. */
export interface RandomFile {
  readonly size: number
  /** The bytes from `start` to `end`, `end` excluded. */
  slice(start: number, end: number): Buffer
  chunks(start?: number, end?: number): Generator<Buffer>
  stream(start?: number, end?: number): Readable
  sha256(): string
  /** The ETag of S3 for an object made of parts of `partSize`. */
  multipartEtag(partSize: number): string
}

/** The file of `size` bytes with this seed. Files of one seed and different sizes have a common prefix. */
export function randomFile(seed: string | number, size: number): RandomFile {
  const key = createHash('sha256').update(`file ${seed}`).digest().subarray(0, 16)
  const hash = (algorithm: string, start: number, end: number) => {
    const sum = createHash(algorithm)
    for (const chunk of file.chunks(start, end)) sum.update(chunk)
    return sum.digest()
  }
  const file: RandomFile = {
    size,
    slice: (start, end) => keystream(key, start, Math.max(start, Math.min(end, size))),
    *chunks(start = 0, end = size) {
      for (let from = start; from < end; from += step) yield file.slice(from, Math.min(from + step, end))
    },
    stream: (start, end) => Readable.from(file.chunks(start, end), { objectMode: false }),
    sha256: () => hash('sha256', 0, size).toString('hex'),
    multipartEtag(partSize) {
      const sums = createHash('md5')
      const count = Math.max(1, Math.ceil(size / partSize))
      for (let part = 0; part < count; part++)
        sums.update(hash('md5', part * partSize, Math.min(size, (part + 1) * partSize)))
      return `"${sums.digest('hex')}-${count}"`
    },
  }
  return file
}
