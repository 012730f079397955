import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** An object that is read once, for its digests and for whatever else looks at its bytes. */
export interface Digested {
  bytes: AsyncIterable<Buffer>
  /** Reads what is left, and returns the digests of all bytes. */
  finish(): Promise<{ size: number; sha256: Buffer; crc32: number }>
  /** Reads no more. */
  close(): Promise<void>
}

/** `source`, digested while it is read. */
export function digested(source: AsyncIterable<Buffer>): Digested {
  const hash = createHash('sha256')
  const iterator = source[Symbol.asyncIterator]()
  let size = 0
  let crc = 0
  async function next(): Promise<IteratorResult<Buffer>> {
    const read = await iterator.next()
    if (read.done) return read
    hash.update(read.value)
    crc = crc32(read.value, crc)
    size += read.value.length
    return read
  }
  return {
    // Without `return`: a scan that ends early leaves the source open for `finish`.
    bytes: { [Symbol.asyncIterator]: () => ({ next }) },
    async finish() {
      while (!(await next()).done);
      return { size, sha256: hash.digest(), crc32: crc }
    },
    async close() {
      await iterator.return?.()
    },
  }
}
