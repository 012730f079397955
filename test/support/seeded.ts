import { createCipheriv, createHash } from 'node:crypto'

/** Repeatable randomness: the same seed leads to the same choices. */
export interface Seeded {
  readonly seed: string
  /** From 0 up to, not including, 1. */
  next(): number
  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
  shuffled<T>(list: readonly T[]): T[]
  bytes(count: number): Buffer
  /** An independent source: drawing from one does not affect the other. */
  fork(name: string): Seeded
}

/** Starts the sequence of `seed`. A run with a random seed must print it when it fails. */
export function seeded(seed: string | number): Seeded {
  const text = String(seed)
  const hash = createHash('sha256').update(text).digest()
  let state = Uint32Array.of(hash.readUInt32LE(0), hash.readUInt32LE(4), hash.readUInt32LE(8), hash.readUInt32LE(12))
  // sfc32: small, fast, and good enough for choices; nothing about security depends on it.
  const draw = (): number => {
    const [a = 0, b = 0, c = 0, counter = 0] = state
    const sum = (((a + b) | 0) + counter) | 0
    state = Uint32Array.of(b ^ (b >>> 9), (c + (c << 3)) | 0, (((c << 21) | (c >>> 11)) + sum) | 0, counter + 1)
    return (sum >>> 0) / 2 ** 32
  }
  for (let round = 0; round < 12; round++) draw()
  const int = (low: number, high: number): number => low + Math.floor(draw() * (high - low + 1))
  return {
    seed: text,
    next: draw,
    int,
    chance: (probability) => draw() < probability,
    pick: (list) => {
      if (list.length === 0) throw new Error('cannot pick from an empty list')
      return list[int(0, list.length - 1)] as (typeof list)[number]
    },
    shuffled: (list) => {
      const copy = [...list]
      for (let last = copy.length - 1; last > 0; last--) {
        const other = int(0, last)
        ;[copy[last], copy[other]] = [copy[other] as (typeof list)[number], copy[last] as (typeof list)[number]]
      }
      return copy
    },
    bytes: (count) => {
      draw()
      return keystream(Buffer.from(state.buffer), 0, count)
    },
    fork: (name) => seeded(`${text}/${name}`),
  }
}

/** Pseudo-random bytes: the range from `start` to `end` of an endless stream with `key` (16 bytes). */
export function keystream(key: Buffer, start: number, end: number): Buffer {
  const block = Math.floor(start / 16)
  const counter = Buffer.alloc(16)
  counter.writeBigUInt64BE(BigInt(block), 8)
  const skipped = start - block * 16
  const cipher = createCipheriv('aes-128-ctr', key, counter)
  return cipher.update(Buffer.alloc(end - start + skipped)).subarray(skipped)
}
