import type { Sniffed } from '../core/media/resolve.ts'
import { isLikely, kindOfMovie, ownSignature, registeredName } from './signatures.ts'
import { kindOfText, readText } from './text.ts'
import { kindOfZip } from './zip.ts'

/**
 * Bytes that say what a file is. The library looks at so many; a tar archive shows itself at 257, a Word document by its
 * first entries.
 */
export const sniffLength = 4100

/** What a file is by its first bytes, which may be all of it. Never rejects; costs less than a millisecond. */
export async function sniff(head: Buffer): Promise<Sniffed> {
  if (head.length === 0) return { mediaType: null, isText: true }
  const reading = readText(head)
  const kind = reading && kindOfText(reading.text)
  // Good text is no picture, even if it begins like one: such a file is made to be both.
  if (reading?.isSure) return { mediaType: kind, isText: true }
  // What begins as text and goes on as something else is a PDF, or text in an older encoding.
  if (kind !== null && kind !== 'text/plain') return { mediaType: kind, isText: true }
  const mediaType = (await bySignature(head)) ?? (reading === null ? despiteSignature(head) : null)
  return { mediaType, isText: reading !== null && mediaType === null }
}

/** A browser takes markup for markup, whatever comes between. */
function despiteSignature(head: Buffer): string | null {
  const kind = kindOfText(head.toString('latin1'))
  return kind === 'text/plain' ? null : kind
}

// The library is loaded with the first file, not with the server.
async function bySignature(head: Buffer): Promise<string | null> {
  // Whether there is a tar archive inside is nobody's question here: nothing is unpacked.
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'application/gzip'
  const { fileTypeFromBuffer } = await import('file-type')
  const found = await fileTypeFromBuffer(head).catch(() => undefined)
  const mediaType = found && registeredName(found.mime)
  if (!mediaType || !isLikely(mediaType, head)) return ownSignature(head)
  if (mediaType === 'application/zip') return kindOfZip(head)
  return kindOfMovie(mediaType, head)
}
