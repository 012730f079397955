import type { PartList } from '../../core/engine.ts'

/** A range of bytes that the client still has to send, and the chunks that it touches. */
export interface MissingRange {
  offset: number
  length: number
  first_chunk: number
  last_chunk: number
}

export interface Coverage {
  /** Bytes that are durable, in any order. */
  receivedBytes: number
  /** Indexes, from 0, of the chunks that are complete. */
  received: number[]
  /** The missing ranges, in order. Empty while the length of the file is unknown. */
  missing: MissingRange[]
}

/** The number of chunks of a file. */
export function countChunks(size: number, chunkSize: number): number {
  return Math.ceil(size / chunkSize)
}

/** The bytes of an upload that the server has: those up to the offset, and the chunks that arrived out of order. */
export function coverageOf({ upload, parts }: PartList): Coverage {
  const { offset, partSize, size } = upload
  const runs = [{ start: 0, end: offset }]
  for (const chunk of parts) {
    const start = (chunk.number - 1) * partSize
    const end = start + chunk.size
    const last = runs.at(-1)!
    if (start > last.end) runs.push({ start, end })
    else last.end = Math.max(last.end, end)
  }
  const receivedBytes = runs.reduce((bytes, run) => bytes + run.end - run.start, 0)
  const end = size ?? runs.at(-1)!.end
  const received = runs.flatMap((run) => chunksWithin(run, partSize, end))
  const missing = runs.flatMap((run, index) => {
    const until = runs[index + 1]?.start ?? end
    return until > run.end ? [missingRange(run.end, until, partSize)] : []
  })
  return { receivedBytes, received, missing }
}

function chunksWithin(run: { start: number; end: number }, partSize: number, end: number): number[] {
  const first = Math.ceil(run.start / partSize)
  // The last chunk may be shorter than the others.
  const after = run.end === end ? countChunks(end, partSize) : Math.floor(run.end / partSize)
  return Array.from({ length: Math.max(0, after - first) }, (_, index) => first + index)
}

function missingRange(start: number, end: number, partSize: number): MissingRange {
  return {
    offset: start,
    length: end - start,
    first_chunk: Math.floor(start / partSize),
    last_chunk: Math.floor((end - 1) / partSize),
  }
}
