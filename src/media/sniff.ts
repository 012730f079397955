import type { Sniffed } from '../core/media/resolve.ts'
import { isLikely, kindOfMovie, ownSignature, registeredName } from './signatures.ts'
import { kindOfText, readText } from './text.ts'
import { kindOfZip } from './zip.ts'

/**
 * The number of bytes by which a type is detected: as many as the library reads. A tar archive has its signature at byte 257, a Word
 * document is recognized by its first entries.
 */
export const sniffLength = 4100

/** Detects the type of a file by its first bytes, which may be the whole file. Never rejects; takes less than a millisecond. */
export async function sniff(prefix: Buffer): Promise<Sniffed> {
  if (prefix.length === 0) return { mediaType: null, isText: true }
  const reading = readText(prefix)
  const kind = reading && kindOfText(reading.text)
  // Valid text is text even when it begins with an image signature: such a file is crafted to be both.
  if (reading?.isSure) return { mediaType: kind, isText: true }
  // A file that begins as text and continues as other bytes is a PDF, or text in an older encoding.
  if (kind !== null && kind !== 'text/plain') return { mediaType: kind, isText: true }
  const mediaType = (await bySignature(prefix)) ?? (reading === null ? despiteSignature(prefix) : null)
  return { mediaType, isText: reading !== null && mediaType === null }
}

/** The kind of markup at the start of other bytes: a browser renders it despite them. */
function despiteSignature(prefix: Buffer): string | null {
  const kind = kindOfText(prefix.toString('latin1'))
  return kind === 'text/plain' ? null : kind
}

// The library is imported with the first file, not at the start of the server.
async function bySignature(prefix: Buffer): Promise<string | null> {
  // The library would decompress it to look for a tar archive.
  if (prefix[0] === 0x1f && prefix[1] === 0x8b && prefix[2] === 8) return 'application/gzip'
  const { fileTypeFromBuffer } = await import('file-type')
  const found = await fileTypeFromBuffer(prefix).catch(() => undefined)
  const mediaType = found && registeredName(found.mime)
  if (!mediaType || !isLikely(mediaType, prefix)) return ownSignature(prefix)
  if (mediaType === 'application/zip') return kindOfZip(prefix)
  return kindOfMovie(mediaType, prefix)
}
