import { isOfKind, isTextual } from './media-families.ts'
import { unknownMediaType } from './media-type.ts'

/** What the first bytes of a file show. */
export interface Sniffed {
  /** `null`: the bytes do not tell. */
  mediaType: string | null
  /** They have no byte that text does not have. */
  isText: boolean
}

/** Detects the media type from the first bytes of a file, which may be all of it. Never rejects. */
export type Sniff = (prefix: Buffer) => Promise<Sniffed>

/**
 * The media type of a file that the client declared as `declared`, a normalized media type. The first bytes decide: a declared type that
 * fits them is kept, any other is replaced by the detected one, and a file whose type is not detected is `application/octet-stream`.
 * Resolving the result once more changes nothing.
 */
export function resolveMediaType(declared: string, { mediaType, isText }: Sniffed): string {
  if (mediaType !== null && isOfKind(declared, mediaType)) return declared
  // HTML, SVG and programs keep their detected type, whatever textual type the client declared.
  const isGenericText = mediaType === null || mediaType === 'text/plain' || mediaType === 'application/xml'
  if (isText && isGenericText && isTextual(declared)) return declared
  return mediaType === null ? unknownMediaType : (aliases[mediaType] ?? mediaType)
}

/** The type to use when the bytes show only the container and the declared type does not fit it. */
const aliases: Record<string, string> = { 'application/mp4': 'video/mp4', 'application/x-opc+zip': 'application/zip' }
