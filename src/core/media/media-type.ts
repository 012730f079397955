/** What a file is when nobody says. */
export const unknownMediaType = 'application/octet-stream'

// RFC 9110 section 8.3.1: type "/" subtype, both tokens
const token = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}\/[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/

// What programs write where they know no type: the name of a missing value in place of one of the two words.
const missingValue = /^(undefined|null|none|nan|unknown|false|true)$/

/** The media type in lower case and without parameters; `null` for a text that is no type (`image`, `undefined`, `image/*`). */
export function readMediaType(said: string): string | null {
  const type = said.split(';', 1)[0]!.trim().toLowerCase()
  const isUsable = token.test(type) && !type.includes('*') && !type.split('/').some((word) => missingValue.test(word))
  return isUsable ? type : null
}

/** What `said` says of a file. It is a hint: one that is no type says nothing, and then the bytes decide. */
export function normalizeMediaType(said: string): string {
  return readMediaType(said) ?? unknownMediaType
}
