import type { Bytes, ObjectStore } from '../ports.ts'
import type { PartReceipt, Piece } from '../upload.ts'
import type { PieceCache } from './piece-cache.ts'

/**
 * A part in the making: first the pieces that are in the store, then the bytes that are on their way there as the next
 * piece, then the bytes held in memory.
 */
export interface Draft {
  /** The number of the part it will be. */
  number: number
  pieces: Piece[]
  spilling: Held
  held: Held
  /** Set when it was sent as a part. */
  sending: Promise<void> | null
  /** Set when it is full and must not be sent yet: it waits in the store as pieces. */
  parking: Promise<void> | null
  receipt: PartReceipt | null
}

export interface Held {
  chunks: Buffer[]
  size: number
}

/** A draft that begins with `pieces`. */
export function newDraft(number: number, pieces: Piece[] = []): Draft {
  const empty = { spilling: nothing(), held: nothing(), sending: null, parking: null, receipt: null }
  return { number, pieces: [...pieces], ...empty }
}

/** Nothing held. */
export function nothing(): Held {
  return { chunks: [], size: 0 }
}

/**
 * Gives the memory of chunks back at once, when nobody will read them again. The garbage collector would come for it later,
 * and mark the whole heap every time some tens of megabytes have piled up: of all that an upload cost, that was half.
 * A chunk that shares its memory with others (one that was cut between two parts) is left to it.
 */
export function spend(chunks: Buffer[]): void {
  for (const { buffer, length } of chunks)
    if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
}

/** All bytes of a draft. */
export function draftSize(draft: Draft): number {
  return piecesSize(draft.pieces) + draft.spilling.size + draft.held.size
}

/** Bytes of `pieces` together. */
export function piecesSize(pieces: Piece[]): number {
  return pieces.reduce((size, piece) => size + piece.size, 0)
}

/** The bytes of `pieces` and then `held`: from memory where they are there, else from the store when they are asked for. */
export function joinBytes(pieces: Piece[], held: Held[], cache: PieceCache, store: ObjectStore): Bytes {
  const size = piecesSize(pieces) + held.reduce((bytes, one) => bytes + one.size, 0)
  const cached = pieces.map((piece) => cache.get(piece.key))
  const last = held.flatMap((one) => one.chunks)
  if (cached.every((chunks) => chunks !== undefined)) {
    const all = [...cached.flat(), ...last]
    return { size, chunks: () => all }
  }
  return {
    size,
    async *chunks() {
      for (const [index, piece] of pieces.entries()) yield* cached[index] ?? store.read(piece.key)
      yield* last
    },
  }
}

/** The longest run of pieces at the end that together stay below `limit` bytes. */
export function smallPiecesAtEnd(pieces: Piece[], limit: number): Piece[] {
  let size = 0
  let from = pieces.length
  while (from > 0 && size + pieces[from - 1]!.size <= limit) {
    from -= 1
    size += pieces[from]!.size
  }
  return pieces.slice(from)
}
