import type { TailCache } from '../memory/tail-cache.ts'
import type { Bytes, ObjectStore } from '../ports.ts'
import type { StoredPart, TailObject } from '../upload.ts'

/**
 * A part in the making: first the pieces that are in the store, then the bytes that are on their way there as the next
 * piece, then the bytes held in memory.
 */
export interface BufferedPart {
  /** The number of the part it will be. */
  number: number
  tailObjects: TailObject[]
  spilling: BufferedBytes
  inMemory: BufferedBytes
  /** Set when it was sent as a part. */
  sending: Promise<void> | null
  /** Set when it is full and must not be sent yet: it waits in the store as pieces. */
  deferring: Promise<void> | null
  stored: StoredPart | null
}

export interface BufferedBytes {
  chunks: Buffer[]
  size: number
}

/** A draft that begins with `pieces`. */
export function newBufferedPart(number: number, tailObjects: TailObject[] = []): BufferedPart {
  const empty = { spilling: noBytes(), inMemory: noBytes(), sending: null, deferring: null, stored: null }
  return { number, tailObjects: [...tailObjects], ...empty }
}

/** Nothing held. */
export function noBytes(): BufferedBytes {
  return { chunks: [], size: 0 }
}

/**
 * Gives the memory of chunks back at once, when nobody will read them again. The garbage collector would come for it later,
 * and mark the whole heap every time some tens of megabytes have piled up: of all that an upload cost, that was half.
 * A chunk that shares its memory with others (one that was cut between two parts) is left to it.
 */
export function detachBuffers(chunks: Buffer[]): void {
  for (const { buffer, length } of chunks)
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}

/** All bytes of a draft. */
export function bufferedSize(part: BufferedPart): number {
  return tailObjectsSize(part.tailObjects) + part.spilling.size + part.inMemory.size
}

/** Bytes of `pieces` together. */
export function tailObjectsSize(tailObjects: TailObject[]): number {
  return tailObjects.reduce((size, tailObject) => size + tailObject.size, 0)
}

/** The bytes of `pieces` and then `held`: from memory where they are there, else from the store when they are asked for. */
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

/** The longest run of pieces at the end that together stay below `limit` bytes. */
export function smallTailObjectsAtEnd(tailObjects: TailObject[], limit: number): TailObject[] {
  let size = 0
  let from = tailObjects.length
  while (from > 0 && size + tailObjects[from - 1]!.size <= limit) {
    from -= 1
    size += tailObjects[from]!.size
  }
  return tailObjects.slice(from)
}
