import type { IncomingHttpHeaders } from 'node:http'
import { readMediaType, unknownMediaType } from '../../core/media/media-type.ts'
import type { CreateUpload } from '../../core/upload.ts'
import { readMetadata } from '../../http/tus-metadata.ts'
import { filenameIn } from './content-disposition.ts'
import { fileDigests } from './digests.ts'

/** What a creation says about the file itself. */
export type Representation = Pick<
  CreateUpload,
  'filename' | 'contentType' | 'category' | 'metadata' | 'fingerprint' | 'digests'
>

// What a library puts there when nobody says: the type of the message at most, not of the file.
const meaningless = [
  unknownMediaType,
  'application/partial-upload',
  'application/offset+octet-stream',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
]

/**
 * Name and type of the file from Content-Disposition and Content-Type; where these say nothing, from Upload-Metadata,
 * which tus-js-client sends in its RUFH modes as well. Upload-Metadata is kept as it came, for who goes on in tus.
 * @throws UploadError INVALID_METADATA for one that tus could not give back, INVALID_REQUEST for digests that cannot be read
 */
export function representationOf(headers: IncomingHttpHeaders): Representation {
  const metadata = headers['upload-metadata']
  const said = readMetadata(typeof metadata === 'string' ? metadata : undefined)
  const type = readMediaType(headers['content-type'] ?? '')
  return {
    filename: filenameIn(headers['content-disposition']) ?? said.filename ?? '',
    contentType: type === null || meaningless.includes(type) ? (said.contentType ?? '') : type,
    category: said.category,
    fingerprint: said.fingerprint,
    digests: fileDigests(headers, said.digests?.expected),
    metadata: typeof metadata === 'string' ? metadata : null,
  }
}
