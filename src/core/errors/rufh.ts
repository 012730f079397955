import { defineError } from './define.ts'

/** What a request in Resumable Uploads for HTTP can be answered with before it reaches an upload. */
export const rufhErrors = {
  rufhMethodNotAllowed: defineError('METHOD_NOT_ALLOWED', 'An upload does not support this method.'),
  fieldInvalid: defineError(
    'INVALID_REQUEST',
    ({ header }: { header: string }) => `The header ${header} has no valid value.`,
  ),
  fieldNotAllowed: defineError(
    'INVALID_REQUEST',
    ({ header }: { header: string }) => `This request must not carry the header ${header}.`,
  ),
  uploadOffsetMissing: defineError('MISSING_FIELD', 'The header Upload-Offset must say where the bytes belong.'),
  uploadCompleteMissing: defineError(
    'MISSING_FIELD',
    'The header Upload-Complete must say whether these bytes are the last.',
  ),
  completenessMissing: defineError(
    'MISSING_FIELD',
    ({ header }: { header: string }) => `An upload starts with the header ${header}: ?0 or ?1.`,
  ),
  creationOffsetNotZero: defineError(
    'INVALID_REQUEST',
    'A new upload starts at byte 0. To resume an upload, send the bytes to its own URL.',
  ),
  contentLengthMismatch: defineError('LENGTH_MISMATCH', 'Upload-Length and Content-Length do not agree.'),
}
