/*
 * A few megabytes of `[[[…` or of members with ever new names take V8 seconds, in which nothing else runs. How much a text nests and how
 * many values it has can be told by one pass over its bytes, at hundreds of megabytes a second, before any of it is parsed.
 */

export interface JsonShape {
  /** How deep arrays and objects may stand within one another. */
  depth: number
  /** How many values and names there may be. */
  values: number
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a

/** What is too much in the JSON text `bytes`; `null` for nothing. Whether it is valid JSON is for the parser to say. */
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

/** Where the text that begins at `start` has its closing quote, or the end of all bytes. */
function endOfText(bytes: Uint8Array, start: number): number {
  let index = start + 1
  while (index < bytes.length && bytes[index] !== quote) index += bytes[index] === backslash ? 2 : 1
  return index
}
