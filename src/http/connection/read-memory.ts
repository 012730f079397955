/*
 * Node reads a socket into a new buffer of up to 64 KiB each time, and its parser copies the bytes of a body out of it. What was read is
 * garbage at once; but V8 marks the whole heap whenever some tens of megabytes of such garbage exist, and that took half of the CPU time of
 * a large upload. Here the memory of a read is given back as soon as it was parsed.
 */
import type { IncomingMessage } from 'node:http'

export interface ReadMemory {
  /** Parses bytes of a body, and learns from the first ones whether the parser copies them. */
  watch(request: IncomingMessage, read: Buffer, parse: () => void): void
  /** Gives the memory of a read back, of which every byte was parsed. */
  release(read: Buffer): void
}

/** The memory of what a server reads. */
export function openReadMemory(): ReadMemory {
  // Every known version of Node copies. One that passed on parts of what was read would find bodies without bytes.
  let copiesBodies: boolean | null = null

  return {
    watch(request, read, parse) {
      if (copiesBodies !== null) return parse()
      const own = Object.getOwnPropertyDescriptor(request, 'push')
      const { push } = request
      request.push = (chunk: Buffer | null, ...more) => {
        if (chunk !== null) copiesBodies = chunk.buffer !== read.buffer
        return push.call(request, chunk, ...more)
      }
      try {
        parse()
      } finally {
        // Others may watch the request in the same way.
        if (own) Object.defineProperty(request, 'push', own)
        else Reflect.deleteProperty(request, 'push')
      }
    },
    release({ buffer, length }) {
      // A buffer that is shorter than its memory shares it with others.
      if (copiesBodies && buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0)
    },
  }
}
