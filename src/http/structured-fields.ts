/* Structured Field Values for HTTP (RFC 9651). The only file that knows the package: what it throws becomes an absent value. */
import { type Dictionary, parseDictionary, parseItem } from 'structured-headers'

export { type Dictionary, serializeBoolean, serializeDictionary, serializeInteger } from 'structured-headers'

/** RFC 9651, section 3.3.1: an Integer has at most fifteen digits. */
export const largestInteger = 999_999_999_999_999

/** The Dictionary in a field; `null` when it cannot be parsed. */
export function readDictionary(text: string): Dictionary | null {
  return orNull(() => parseDictionary(text))
}

/** The non-negative Integer in a field; `null` for any other value. */
export function readInteger(text: string): number | null {
  const [value] = orNull(() => parseItem(text)) ?? []
  // The parser returns a number for `5.0` as well, which is a Decimal.
  return typeof value === 'number' && value >= 0 && /^ *\d+ *(;|$)/.test(text) ? value : null
}

/** The Boolean in a field; `null` for any other value. */
export function readBoolean(text: string): boolean | null {
  const [value] = orNull(() => parseItem(text)) ?? []
  return typeof value === 'boolean' ? value : null
}

function orNull<T>(parse: () => T): T | null {
  try {
    return parse()
  } catch {
    return null
  }
}
