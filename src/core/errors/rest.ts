import { defineError } from './define.ts'

/** What a request for numbered chunks, or for whole files in one request, can be answered with before it reaches an upload. */
export const restErrors = {
  // JSON fields and headers.
  bodyNotObject: defineError('INVALID_FIELD', 'The body must be a JSON object.'),
  jsonFieldMissing: defineError('MISSING_FIELD', ({ field }: { field: string }) => `The field ${field} is missing.`),
  jsonFieldInvalid: defineError(
    'INVALID_FIELD',
    ({ field, reason }: { field: string; reason: string }) => `The field ${field} is not valid: ${reason}.`,
  ),
  chunkIndexMissing: defineError('MISSING_FIELD', 'The header X-Chunk-Index is missing.'),
  chunkIndexInvalid: defineError('INVALID_FIELD', 'X-Chunk-Index must be a whole number, 0 for the first chunk.'),
  chunkNamedTwice: defineError(
    'INVALID_FIELD',
    ({ field }: { field: string }) => `The fields of ${field} name two different chunks.`,
  ),
  uploadIdMissing: defineError('MISSING_FIELD', 'The field upload_id, or the header X-Upload-Id, is missing.'),
  uploadIdsDiffer: defineError('INVALID_FIELD', 'The request names two different uploads.'),

  // Content-Digest and Content-MD5.
  digestInvalid: defineError('INVALID_FIELD', ({ header }: { header: string }) => `${header} is not a valid digest.`),
  digestUnknown: defineError(
    'INVALID_FIELD',
    ({ algorithms }: { algorithms: string }) => `Content-Digest must have one of ${algorithms}.`,
  ),

  // Whole files in one request.
  filenameMissing: defineError('MISSING_FIELD', 'The URL must end with the name of the file.'),
  rangesNotSupported: defineError(
    'INVALID_REQUEST',
    'This request must bring the whole file. To send ranges, create an upload.',
  ),
  fileIncomplete: defineError('INVALID_REQUEST', 'The file did not arrive whole. Please send it again.'),

  // Forms.
  formExpected: defineError('UNSUPPORTED_CONTENT_TYPE', 'Files are sent here as multipart/form-data.'),
  formInvalid: defineError('INVALID_REQUEST', 'The form is not valid multipart/form-data.'),
  formWithoutBoundary: defineError('INVALID_REQUEST', 'The content type of the form has no boundary.'),
  formIncomplete: defineError('INVALID_REQUEST', 'The form did not arrive whole. Please send it again.'),
  formTimeout: defineError('BODY_TIMEOUT', 'No bytes came for too long. Please send the form again.'),
  formTooSlow: defineError(
    'BODY_TIMEOUT',
    'The parts of the form around its files came too slowly. Please send the form again.',
  ),
  formOverheadTooLarge: defineError(
    'INVALID_REQUEST',
    ({ most }: { most: number }) => `A form may have at most ${most} bytes around its files.`,
  ),
  formTooManyParts: defineError(
    'INVALID_REQUEST',
    ({ files, fields }: { files: number; fields: number }) =>
      `A form may have at most ${files} files and ${fields} fields.`,
  ),
  formWithoutFile: defineError('MISSING_FIELD', 'There is no file in the form.'),
  formFieldTooLong: defineError('INVALID_FIELD', 'A field of the form is too long.'),
  formFieldAfterFile: defineError(
    'INVALID_FIELD',
    ({ field }: { field: string }) => `The field ${field} must come before the files.`,
  ),
  formFileUnnamed: defineError('INVALID_FIELD', 'A file in the form has no name.'),
  formFileEncoded: defineError(
    'UNSUPPORTED_CONTENT_TYPE',
    ({ encoding }: { encoding: string }) =>
      `A file in the form has the Content-Transfer-Encoding ${encoding}: send the bytes of the file as they are.`,
  ),
  formUserInvalid: defineError('INVALID_FIELD', 'userId does not name a user.'),
  formRoleInvalid: defineError('INVALID_FIELD', 'userRole does not name a role.'),
}
