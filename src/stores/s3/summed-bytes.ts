import { crc32 } from 'node:zlib'
import type { Bytes } from '../../core/ports/object-store.ts'

/** Bytes whose CRC-32 is computed while they are sent. */
export interface SummedBytes extends Bytes {
  /** Of the chunks that were read last, from the first to the last one. */
  crc32(): number
}

/** `bytes` with their CRC-32. They may be read again, for another attempt, while an earlier one still reads. */
export function summed({ size, chunks }: Bytes): SummedBytes {
  let last = { crc32: 0 }
  function* each(source: Iterable<Buffer>, sum: typeof last): Generator<Buffer> {
    for (const chunk of source) {
      sum.crc32 = crc32(chunk, sum.crc32)
      yield chunk
    }
  }
  async function* eachRead(source: AsyncIterable<Buffer>, sum: typeof last): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      sum.crc32 = crc32(chunk, sum.crc32)
      yield chunk
    }
  }
  return {
    size,
    chunks() {
      const source = chunks()
      last = { crc32: 0 }
      return Symbol.asyncIterator in source ? eachRead(source, last) : each(source, last)
    },
    crc32: () => last.crc32,
  }
}
