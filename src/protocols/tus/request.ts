import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { AppendRequest } from '../../core/engine.ts'
import { UploadError } from '../../core/errors/error.ts'
import { unknownMediaType } from '../../core/media/media-type.ts'
import type { CreateUpload } from '../../core/upload.ts'
import { readMetadata } from '../../http/tus-metadata.ts'
import { readChecksum } from './checksum.ts'
import { readConcat } from './concat.ts'

export const tusVersion = '1.0.0'
export const chunkType = 'application/offset+octet-stream'

const methods = ['HEAD', 'PATCH', 'POST', 'DELETE', 'OPTIONS'] as const

export type Method = (typeof methods)[number]

/**
 * "X-HTTP-Method-Override … MUST be interpreted as the request's method by the Server … the actual method MUST be ignored."
 * @throws UploadError METHOD_NOT_ALLOWED
 */
export function readMethod({ method, headers }: { method: string; headers: IncomingHttpHeaders }): Method {
  const meant = text(headers, 'x-http-method-override')?.trim().toUpperCase() ?? method
  const known = methods.find((name) => name === meant)
  if (!known) throw new UploadError('METHOD_NOT_ALLOWED', 'Files are sent here and not read.')
  return known
}

/** @throws UploadError PRECONDITION_FAILED for another version of tus, and for what is not tus at all */
export function checkVersion(headers: IncomingHttpHeaders): void {
  if (headers['tus-resumable'] === tusVersion) return
  throw new UploadError('PRECONDITION_FAILED', `This endpoint speaks tus ${tusVersion}: Tus-Resumable must say so.`)
}

/**
 * What a POST wants to create. `path`: where uploads are.
 * @throws UploadError INVALID_REQUEST, INVALID_METADATA, FILE_TOO_LARGE
 */
export function readCreation({ headers }: IncomingMessage, path: string): CreateUpload {
  const concat = readConcat(text(headers, 'upload-concat'), path)
  const metadata = text(headers, 'upload-metadata')
  const size = readLength(headers) ?? null
  if (concat?.kind === 'final' && size !== null)
    throw new UploadError('INVALID_REQUEST', 'The length of a final upload is that of its parts: it must not be told.')
  const { filename = 'file', contentType = unknownMediaType, digests, ...words } = readMetadata(metadata)
  // The metadata of a partial upload may be that of the file it becomes a part of.
  const creation = { filename, contentType, ...words, metadata: metadata ?? null, size, concat }
  return concat?.kind === 'partial' ? creation : { ...creation, digests }
}

/**
 * The bytes that a PATCH brings.
 * @throws UploadError UNSUPPORTED_CONTENT_TYPE, INVALID_REQUEST, FILE_TOO_LARGE
 */
export function readAppend(request: IncomingMessage): AppendRequest {
  const { headers } = request
  if (!isChunk(headers))
    throw new UploadError('UNSUPPORTED_CONTENT_TYPE', `The content type of a PATCH must be ${chunkType}.`)
  const offset = readNumber(headers, 'upload-offset')
  if (offset === undefined) throw new UploadError('INVALID_REQUEST', 'A PATCH needs Upload-Offset.')
  if (!Number.isSafeInteger(offset)) throw new UploadError('INVALID_REQUEST', 'Upload-Offset is beyond any file.')
  return { ...bytesOf(request), offset, size: readLength(headers) }
}

/**
 * The bytes that a POST brings along ("Creation With Upload"), or `null`: "if the Content-Type is another, the body is not
 * part of the upload".
 * @throws UploadError INVALID_REQUEST, LENGTH_MISMATCH when they are more than the file that is to be created
 */
export function readFirstAppend(request: IncomingMessage, { size, concat }: CreateUpload): AppendRequest | null {
  if (!isChunk(request.headers) || concat?.kind === 'final') return null
  const chunk = { ...bytesOf(request), offset: 0 }
  if (size !== null && chunk.bodySize !== null && chunk.bodySize > size)
    throw new UploadError('LENGTH_MISMATCH', 'More bytes came than the length that was declared.', { size })
  return chunk
}

function bytesOf(request: IncomingMessage): Omit<AppendRequest, 'offset'> {
  return { body: request, bodySize: sizeOfBody(request.headers), ending: 'at-size', digest: readChecksum(request) }
}

/** Parameters change nothing about it (RFC 9110, 8.3.1). */
function isChunk(headers: IncomingHttpHeaders): boolean {
  return (headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase() === chunkType
}

/** What Content-Length says; `null` for chunked bodies. */
function sizeOfBody(headers: IncomingHttpHeaders): number | null {
  if (headers['transfer-encoding'] !== undefined) return null
  return Number(headers['content-length'] ?? 0)
}

/** A length that no number here can hold is still a length, and above every maximum. */
function readLength(headers: IncomingHttpHeaders): number | undefined {
  const length = readNumber(headers, 'upload-length')
  if (length === undefined || Number.isSafeInteger(length)) return length
  throw new UploadError('FILE_TOO_LARGE', 'No file may be that large.')
}

/** "The value MUST be a non-negative integer": digits, without sign, space or leading zero. */
function readNumber(headers: IncomingHttpHeaders, name: 'upload-offset' | 'upload-length'): number | undefined {
  const value = text(headers, name)
  if (value === undefined) return undefined
  if (/^(0|[1-9]\d*)$/.test(value)) return Number(value)
  const spelt = name === 'upload-offset' ? 'Upload-Offset' : 'Upload-Length'
  throw new UploadError('INVALID_REQUEST', `${spelt} must be a whole number of bytes.`)
}

/** Node joins what was sent twice, except for the few names of which it keeps a list. */
function text(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
