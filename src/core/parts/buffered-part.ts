import type { TailCache } from '../memory/tail-cache.ts'
import type { Bytes, ObjectStore } from '../ports/object-store.ts'
import type { StoredPart, TailObject } from '../upload.ts'

/**
 * A part in the making: first its tail objects in the store, then the bytes that are being written there as the next tail object, then the
 * bytes in memory.
 */
export interface BufferedPart {
  /** The number of the part it will be. */
  number: number
  tailObjects: TailObject[]
  spilling: BufferedBytes
  inMemory: BufferedBytes
  /** Set once the part is sent to the store. */
  sending: Promise<void> | null
  /** Set once the part is full and must wait for a digest: its bytes wait as tail objects. */
  deferring: Promise<void> | null
  /** Set once the store has the part. */
  stored: StoredPart | null
}

/** Chunks in the order in which they arrived. */
export interface BufferedBytes {
  chunks: Buffer[]
  size: number
}

/** A part that begins with the bytes of `tailObjects`. */
export function newBufferedPart(number: number, tailObjects: TailObject[] = []): BufferedPart {
  const empty = { spilling: noBytes(), inMemory: noBytes(), sending: null, deferring: null, stored: null }
  return { number, tailObjects: [...tailObjects], ...empty }
}

/** No bytes in memory. */
export function noBytes(): BufferedBytes {
  return { chunks: [], size: 0 }
}

/**
 * Gives the memory of chunks back at once, when they will not be read again. The garbage collector would do so later, and mark the whole
 * heap each time some tens of megabytes have accumulated: that was half of the CPU time of an upload. A chunk that shares its memory
 * with others, because it was cut between two parts, is left to the garbage collector.
 */
export function detachBuffers(chunks: Buffer[]): void {
  for (const { buffer, length } of chunks)
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}

/** All bytes of a part. */
export function bufferedSize(part: BufferedPart): number {
  return tailObjectsSize(part.tailObjects) + part.spilling.size + part.inMemory.size
}

/** Bytes of the tail objects together. */
export function tailObjectsSize(tailObjects: TailObject[]): number {
  return tailObjects.reduce((size, tailObject) => size + tailObject.size, 0)
}

/** The bytes of the tail objects and then those in memory. Tail objects come from the cache, or else from the store when they are read. */
export function concatBytes(
  tailObjects: TailObject[],
  inMemory: BufferedBytes[],
  cache: TailCache,
  store: ObjectStore,
): Bytes {
  const size = tailObjectsSize(tailObjects) + inMemory.reduce((bytes, one) => bytes + one.size, 0)
  const cached = tailObjects.map((tailObject) => cache.get(tailObject.key))
  const last = inMemory.flatMap((one) => one.chunks)
  if (cached.every((chunks) => chunks !== undefined)) {
    const all = [...cached.flat(), ...last]
    return { size, chunks: () => all }
  }
  return {
    size,
    async *chunks() {
      for (const [index, tailObject] of tailObjects.entries()) yield* cached[index] ?? store.read(tailObject.key)
      yield* last
    },
  }
}

/** The longest run of tail objects at the end that together have at most `limit` bytes. */
export function smallTailObjectsAtEnd(tailObjects: TailObject[], limit: number): TailObject[] {
  let size = 0
  let from = tailObjects.length
  while (from > 0 && size + tailObjects[from - 1]!.size <= limit) {
    from -= 1
    size += tailObjects[from]!.size
  }
  return tailObjects.slice(from)
}
