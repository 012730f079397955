import { defineError } from './define.ts'

/** What a request in tus 1.0 can be answered with before it reaches an upload. */
export const tusErrors = {
  tusMethodNotAllowed: defineError('METHOD_NOT_ALLOWED', 'This endpoint takes uploads and does not serve files.'),
  creationBelowEndpoint: defineError(
    'METHOD_NOT_ALLOWED',
    'An upload is created at the endpoint itself, not at a URL below it.',
  ),
  tusVersionUnsupported: defineError(
    'PRECONDITION_FAILED',
    ({ version }: { version: string }) =>
      `This endpoint speaks tus ${version}: send the header Tus-Resumable: ${version}.`,
  ),
  tusRejected: defineError('INVALID_REQUEST', ({ reason }: { reason: string }) => `${reason}.`),

  // Upload-Offset and Upload-Length.
  patchOffsetMissing: defineError('INVALID_REQUEST', 'A PATCH needs the header Upload-Offset.'),
  offsetTooLarge: defineError('INVALID_REQUEST', 'Upload-Offset is larger than any file can be.'),
  lengthTooLarge: defineError('FILE_TOO_LARGE', 'Upload-Length is larger than any file can be.'),
  notWholeBytes: defineError(
    'INVALID_REQUEST',
    ({ header }: { header: string }) => `${header} must be a whole number of bytes.`,
  ),
  finalLengthGiven: defineError(
    'INVALID_REQUEST',
    'The length of a final upload is that of its partial uploads: leave out Upload-Length.',
  ),

  // Upload-Checksum.
  checksumInvalid: defineError(
    'INVALID_REQUEST',
    ({ algorithms }: { algorithms: string }) =>
      `Upload-Checksum must be an algorithm (${algorithms}), a space and a Base64 value.`,
  ),
  checksumTrailerMissing: defineError(
    'INVALID_REQUEST',
    'The request announced the trailer Upload-Checksum and did not send it.',
  ),

  // Upload-Concat.
  concatInvalid: defineError(
    'INVALID_REQUEST',
    'Upload-Concat must be "partial", or "final;" with the URLs of partial uploads.',
  ),
  tooManyPartials: defineError(
    'INVALID_REQUEST',
    ({ most }: { most: number }) => `Upload-Concat may name at most ${most} uploads.`,
  ),
  concatNotUrl: defineError('INVALID_REQUEST', 'Upload-Concat names something that is not a URL.'),
  concatNotUpload: defineError(
    'INVALID_REQUEST',
    'Upload-Concat names something that is not an upload of this server.',
  ),
}
