/** The media type of a file whose type is not known. */
export const unknownMediaType = 'application/octet-stream'

// RFC 9110 section 8.3.1: type "/" subtype, both tokens
const token = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}\/[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/

// Programs that do not know the type write the name of a missing value in place of the type or the subtype.
const missingValue = /^(undefined|null|none|nan|unknown|false|true)$/

/** The media type in lower case and without parameters; `null` for text that is not a media type (`image`, `undefined`, `image/*`). */
export function readMediaType(declared: string): string | null {
  const type = declared.split(';', 1)[0]!.trim().toLowerCase()
  const isUsable = token.test(type) && !type.includes('*') && !type.split('/').some((word) => missingValue.test(word))
  return isUsable ? type : null
}

/** The media type that the client declared, or the unknown type: an invalid declaration is no error, because the first bytes decide. */
export function normalizeMediaType(declared: string): string {
  return readMediaType(declared) ?? unknownMediaType
}
