import type { PartList } from '../../core/engine.ts'

/** A run of bytes that is not there yet, and the chunks that it touches. */
export interface MissingRange {
  offset: number
  length: number
  first_chunk: number
  last_chunk: number
}

export interface Coverage {
  /** Bytes that are safe on the server, wherever they belong. */
  receivedBytes: number
  /** Indexes, from 0, of chunks that are there to the last byte. */
  received: number[]
  /** What is missing, in order. Empty while the length of the file is unknown. */
  missing: MissingRange[]
}

/** How many chunks a file has. */
export function countChunks(size: number, chunkSize: number): number {
  return Math.ceil(size / chunkSize)
}

/** Which bytes of an upload are there: everything up to its offset, and the chunks that came before their turn. */
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
  const gaps = runs.flatMap((run, index) => {
    const until = runs[index + 1]?.start ?? end
    return until > run.end ? [missingRange(run.end, until, partSize)] : []
  })
  return { receivedBytes, received, missing: gaps }
}

function chunksWithin(run: { start: number; end: number }, partSize: number, end: number): number[] {
  const first = Math.ceil(run.start / partSize)
  // The last chunk of a file may be shorter than the others.
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
