/*
 * V8 takes seconds to parse a few megabytes of `[[[…`, or of members with distinct names, and blocks the process meanwhile. One pass over
 * the bytes, at hundreds of megabytes a second, finds the depth and the number of values before the text is parsed.
 */

export interface JsonShape {
  /** Maximum nesting of arrays and objects. */
  depth: number
  /** Maximum number of values and names. */
  values: number
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a

/** The limit that the JSON text `bytes` exceeds, or `null`. Whether it is valid JSON is left to the parser. */
export function exceededLimit(bytes: Uint8Array, { depth, values }: JsonShape): 'depth' | 'values' | null {
  let at = 0
  let found = 1
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index]!
    if (byte === quote) {
      index = endOfText(bytes, index)
    } else if (byte === comma || byte === colon) {
      found += 1
      if (found > values) return 'values'
    } else if (byte === 0x5b || byte === 0x7b) {
      at += 1
      found += 1
      if (at > depth) return 'depth'
      if (found > values) return 'values'
    } else if (byte === 0x5d || byte === 0x7d) {
      at = Math.max(0, at - 1)
    }
  }
  return null
}

/** The index of the closing quote of the string that begins at `start`, or the end of the bytes. */
function endOfText(bytes: Uint8Array, start: number): number {
  let index = start + 1
  while (index < bytes.length && bytes[index] !== quote) index += bytes[index] === backslash ? 2 : 1
  return index
}
