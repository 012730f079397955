import type { IncomingHttpHeaders } from 'node:http'
import { unknownMediaType } from '../../core/content/media-type.ts'
import type { Wish } from '../../core/upload.ts'
import { filenameIn } from './content-disposition.ts'

/** What a creation says about the file itself. */
export type Representation = Pick<Wish, 'filename' | 'contentType' | 'category' | 'metadata' | 'fingerprint'>

// What a library puts there when nobody says: the type of the message at most, not of the file.
const meaningless = [
  '',
  unknownMediaType,
  'application/partial-upload',
  'application/offset+octet-stream',
  'application/x-www-form-urlencoded',
]

/**
 * Name and type of the file from Content-Disposition and Content-Type; where these say nothing, from Upload-Metadata,
 * which tus-js-client sends in its RUFH modes as well. Upload-Metadata is kept as it came, for who goes on in tus.
 */
export function representationOf(headers: IncomingHttpHeaders): Representation {
  const metadata = headers['upload-metadata']
  const said = typeof metadata === 'string' ? readMetadata(metadata) : new Map<string, string>()
  const type = (headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase()
  return {
    filename: filenameIn(headers['content-disposition']) ?? said.get('filename') ?? said.get('name') ?? '',
    contentType: meaningless.includes(type) ? (said.get('filetype') ?? said.get('type') ?? '') : type,
    category: said.get('category') || undefined,
    fingerprint: said.get('fingerprint') || undefined,
    metadata: typeof metadata === 'string' ? metadata : null,
  }
}

/** Upload-Metadata of tus 1.0: pairs of a key and a base64 value. Pairs that are none are left out. */
function readMetadata(header: string): Map<string, string> {
  const pairs = header.split(',').map((pair) => pair.trim().split(/ +/))
  return new Map(
    pairs
      .filter(([key]) => key !== '')
      .map(([key, value = '']) => [key!.toLowerCase(), Buffer.from(value, 'base64').toString('utf8')]),
  )
}
