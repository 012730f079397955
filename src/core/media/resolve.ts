import { isOfKind, isTextual } from './media-families.ts'
import { unknownMediaType } from './media-type.ts'

/** What the first bytes of a file show. */
export interface Sniffed {
  /** `null`: it cannot be told. */
  mediaType: string | null
  /** There is nothing in them that text does not have. */
  isText: boolean
}

/** Looks at the first bytes of a file, which may be all of it. Never rejects. */
export type Sniff = (head: Buffer) => Promise<Sniffed>

/**
 * What a file is that was said to be `said`, a normalized media type. The bytes decide: a name that fits them is kept, any
 * other gives way to what they show, and what cannot be told is `application/octet-stream`. Judging the outcome once more
 * changes nothing.
 */
export function resolveMediaType(said: string, { mediaType, isText }: Sniffed): string {
  if (mediaType !== null && isOfKind(said, mediaType)) return said
  // A page, a drawing or a program stays one, by whatever name of text it comes.
  const isMere = mediaType === null || mediaType === 'text/plain' || mediaType === 'application/xml'
  if (isText && isMere && isTextual(said)) return said
  return mediaType === null ? unknownMediaType : (aliases[mediaType] ?? mediaType)
}

/** Where the bytes leave it open and nobody says. */
const aliases: Record<string, string> = { 'application/mp4': 'video/mp4', 'application/x-opc+zip': 'application/zip' }
