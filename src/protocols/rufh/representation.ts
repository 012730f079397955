import type { IncomingHttpHeaders } from 'node:http'
import { readMediaType, unknownMediaType } from '../../core/media/media-type.ts'
import type { CreateUpload } from '../../core/upload.ts'
import { readMetadata } from '../../http/tus-metadata.ts'
import { filenameIn } from './content-disposition.ts'
import { fileDigests } from './digests.ts'
import { partialUploadType } from './dispatch.ts'

/** The properties of the file in the headers of a creation. */
export type Representation = Pick<
  CreateUpload,
  'filename' | 'contentType' | 'category' | 'metadata' | 'fingerprint' | 'digests'
>

// HTTP libraries send these by default. At most they are the type of the message, and not of the file.
const defaultTypes = [
  unknownMediaType,
  partialUploadType,
  'application/offset+octet-stream',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
]

/**
 * Reads the name and type of the file from Content-Disposition and Content-Type and, where these are missing, from Upload-Metadata,
 * which tus-js-client sends in its RUFH modes as well. Upload-Metadata is stored unchanged for clients that resume in tus.
 * @throws UploadError INVALID_METADATA for metadata that tus could not return; INVALID_REQUEST for digests that cannot be parsed
 */
export function representationOf(headers: IncomingHttpHeaders): Representation {
  const metadata = headers['upload-metadata']
  const fields = readMetadata(typeof metadata === 'string' ? metadata : undefined)
  const type = readMediaType(headers['content-type'] ?? '')
  return {
    filename: filenameIn(headers['content-disposition']) ?? fields.filename ?? '',
    contentType: type === null || defaultTypes.includes(type) ? (fields.contentType ?? '') : type,
    category: fields.category,
    fingerprint: fields.fingerprint,
    digests: fileDigests(headers, fields.digests?.expected),
    metadata: typeof metadata === 'string' ? metadata : null,
  }
}
