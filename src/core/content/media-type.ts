import { UploadError } from '../errors.ts'

/** What a file is when nobody says. */
export const unknownMediaType = 'application/octet-stream'

// RFC 9110 section 8.3.1: type "/" subtype, both tokens
const token = /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}\/[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/

/**
 * The media type in lower case and without parameters.
 * @throws UploadError INVALID_METADATA when it is none
 */
export function normalizeMediaType(said: string): string {
  const type = said.split(';', 1)[0]!.trim().toLowerCase()
  if (type === '') return unknownMediaType
  if (!token.test(type)) throw new UploadError('INVALID_METADATA', 'The media type of the file is not a valid one.')
  return type
}
