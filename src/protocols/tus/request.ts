import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { AppendRequest } from '../../core/engine.ts'
import { errors } from '../../core/errors/errors.ts'
import { unknownMediaType } from '../../core/media/media-type.ts'
import type { CreateUpload } from '../../core/upload.ts'
import { bodySizeOf, isOfType } from '../../http/body/length.ts'
import { readMetadata } from '../../http/tus-metadata.ts'
import { readChecksum } from './checksum.ts'
import { readConcat } from './concat.ts'

export const tusVersion = '1.0.0'
export const patchType = 'application/offset+octet-stream'

const methods = ['HEAD', 'PATCH', 'POST', 'DELETE', 'OPTIONS'] as const

export type Method = (typeof methods)[number]

/**
 * "X-HTTP-Method-Override … MUST be interpreted as the request's method by the Server … the actual method MUST be ignored."
 * @throws UploadError METHOD_NOT_ALLOWED
 */
export function readMethod({ method, headers }: { method: string; headers: IncomingHttpHeaders }): Method {
  const requested = headerText(headers, 'x-http-method-override')?.trim().toUpperCase() ?? method
  const known = methods.find((name) => name === requested)
  if (!known) throw errors.tusMethodNotAllowed()
  return known
}

/** @throws UploadError PRECONDITION_FAILED for another version of tus, and for a request without `Tus-Resumable` */
export function checkVersion(headers: IncomingHttpHeaders): void {
  if (headers['tus-resumable'] === tusVersion) return
  throw errors.tusVersionUnsupported({ version: tusVersion })
}

/**
 * The creation request in a POST. `path`: the endpoint, below which uploads have their URLs.
 * @throws UploadError INVALID_REQUEST, INVALID_METADATA, FILE_TOO_LARGE
 */
export function readCreation({ headers }: IncomingMessage, path: string): CreateUpload {
  const source = readConcat(headerText(headers, 'upload-concat'), path)
  const metadata = headerText(headers, 'upload-metadata')
  const size = readLength(headers) ?? null
  if (source.kind === 'final' && size !== null) throw errors.finalLengthGiven()
  const { filename = 'file', contentType = unknownMediaType, digests, ...more } = readMetadata(metadata)
  // Clients may send the metadata of the whole file with each partial upload. The digests in it hold for the final upload only.
  const creation = { filename, contentType, ...more, metadata: metadata ?? null, size, ...source }
  return source.isPartial ? creation : { ...creation, digests }
}

/**
 * The bytes that a PATCH brings.
 * @throws UploadError UNSUPPORTED_CONTENT_TYPE, INVALID_REQUEST, FILE_TOO_LARGE
 */
export function readAppend(request: IncomingMessage): AppendRequest {
  const { headers } = request
  if (!isOfType(headers, patchType)) throw errors.patchTypeUnsupported({ expected: patchType })
  const offset = readNumber(headers, 'upload-offset')
  if (offset === undefined) throw errors.patchOffsetMissing()
  if (!Number.isSafeInteger(offset)) throw errors.offsetTooLarge()
  return { ...bytesOf(request), offset, size: readLength(headers) }
}

/**
 * The bytes in the body of a POST ("Creation With Upload"), or `null`: "if the Content-Type is another, the body is not
 * part of the upload".
 * @throws UploadError INVALID_REQUEST; LENGTH_MISMATCH when the body is longer than the file
 */
export function readFirstAppend(request: IncomingMessage, { size, kind }: CreateUpload): AppendRequest | null {
  if (!isOfType(request.headers, patchType) || kind === 'final') return null
  const append = { ...bytesOf(request), offset: 0 }
  if (size !== null && append.bodySize !== null && append.bodySize > size) throw errors.lengthExceeded({ size })
  return append
}

function bytesOf(request: IncomingMessage): Omit<AppendRequest, 'offset'> {
  return { body: request, bodySize: bodySizeOf(request.headers), ending: 'at-size', digest: readChecksum(request) }
}

/** A length beyond the safe integers is valid in tus and above every maximum, so it is 413 and not 400. */
function readLength(headers: IncomingHttpHeaders): number | undefined {
  const length = readNumber(headers, 'upload-length')
  if (length === undefined || Number.isSafeInteger(length)) return length
  throw errors.lengthTooLarge()
}

/** "The value MUST be a non-negative integer": digits, without sign, space or leading zero. */
function readNumber(headers: IncomingHttpHeaders, name: 'upload-offset' | 'upload-length'): number | undefined {
  const value = headerText(headers, name)
  if (value === undefined) return undefined
  if (/^(0|[1-9]\d*)$/.test(value)) return Number(value)
  throw errors.notWholeBytes({ header: name === 'upload-offset' ? 'Upload-Offset' : 'Upload-Length' })
}

/** The text of a header. Node joins repeated headers itself, except a few that it returns as a list. */
function headerText(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
