import { formatSize } from '../size.ts'
import { defineError } from './define.ts'

/** What an upload, its bytes and its parts can be answered with. */
export const uploadErrors = {
  // Where an upload stands.
  uploadNotFound: defineError('UPLOAD_NOT_FOUND', 'There is no such upload.'),
  uploadCancelled: defineError('UPLOAD_GONE', 'This upload was cancelled.'),
  uploadExpired: defineError(
    'UPLOAD_EXPIRED',
    'This upload was not continued in time and has expired. Please start again.',
  ),
  uploadLost: defineError('UPLOAD_LOST', 'The store lost what was sent of this upload. Please start again.'),
  digestFailed: defineError(
    'UPLOAD_LOST',
    'The file that arrived is not the one its digest describes. Please start again.',
  ),
  typeFailed: defineError('UPLOAD_LOST', 'The file is of a kind that may not be sent. Please start again.'),
  uploadCompleted: defineError('UPLOAD_COMPLETED', 'This upload is complete.'),
  takesNoMoreBytes: defineError('UPLOAD_COMPLETED', 'This upload is complete and takes no more bytes.'),
  notRestorable: defineError('UPLOAD_GONE', 'There is no deleted file of this upload that could be restored.'),
  uploadLocked: defineError('UPLOAD_LOCKED', 'Another request is writing to this upload.'),
  takenOver: defineError('UPLOAD_LOCKED', 'Another request took this upload over.'),
  partSuperseded: defineError('UPLOAD_LOCKED', 'A newer request sends the same chunk.'),

  // Offsets, lengths and checksums.
  offsetMismatch: defineError(
    'OFFSET_MISMATCH',
    ({ offset, provided }: { offset: number; provided: number }) =>
      `The upload goes on at byte ${offset}, not at ${provided}.`,
  ),
  lengthMismatch: defineError('LENGTH_MISMATCH', 'The lengths that were given for this file do not agree.'),
  lengthExceeded: defineError('LENGTH_MISMATCH', 'More bytes came than the length that was declared.'),
  lengthUnknown: defineError('LENGTH_MISMATCH', 'Chunks by number need a file whose length is known.'),
  notWholeYet: defineError('LENGTH_MISMATCH', 'The upload is not whole yet.'),
  bytesMissing: defineError('LENGTH_MISMATCH', 'Something of the file is still missing.'),
  wrongPartSize: defineError(
    'LENGTH_MISMATCH',
    ({ size }: { number: number; size: number }) => `This chunk must have exactly ${size} bytes.`,
  ),
  noSuchPart: defineError(
    'INVALID_FIELD',
    ({ last }: { number: number; last: number }) => `There is no such chunk: the file has ${last}.`,
  ),
  partDiffers: defineError(
    'INVALID_FIELD',
    ({ number }: { number: number }) => `Chunk ${number} is not the one that was sent.`,
  ),
  partCountDiffers: defineError(
    'INVALID_FIELD',
    ({ stored, listed }: { stored: number; listed: number }) => `There are ${stored} chunks, not ${listed}.`,
  ),
  partIncomplete: defineError('INVALID_REQUEST', 'The chunk did not arrive whole. Please send it again.'),
  partTimeout: defineError('BODY_TIMEOUT', 'No bytes came for too long. Please send the chunk again.'),
  bodyTooSlow: defineError('BODY_TIMEOUT', 'The bytes came too slowly. Please go on.'),
  checksumUnverified: defineError('CHECKSUM_MISMATCH', 'The body ended before its checksum could be verified.'),
  digestMismatch: defineError(
    'CHECKSUM_MISMATCH',
    'The file that arrived is not the one its digest describes. Please start again.',
  ),

  // Concatenation.
  finalTakesNoBytes: defineError('FORBIDDEN', 'A final upload is made of its parts and takes no bytes.'),
  alreadyConcatenated: defineError('UPLOAD_GONE', 'This upload is part of another file already.'),
  notPartial: defineError('INVALID_REQUEST', 'Only partial uploads can be joined.'),
  partialsNotReady: defineError('LENGTH_MISMATCH', 'The partial uploads of this file are not all complete.'),
  tooManyRepeats: defineError(
    'INVALID_REQUEST',
    ({ most }: { most: number }) => `Partial uploads may be named again ${most} times at most.`,
  ),
  repeatedWithoutLength: defineError(
    'INVALID_REQUEST',
    'A partial upload may be named again only when its length is known.',
  ),

  // The store and this server.
  stillFinishing: defineError('STORE_UNAVAILABLE', 'The file is being put together. Please ask again in a moment.'),
  notFoundInStore: defineError(
    'STORE_UNAVAILABLE',
    'The store does not find what was sent of this upload. Please try again in a moment.',
  ),
  markerUnreadable: defineError(
    'STORE_UNAVAILABLE',
    ({ marker }: { marker: string }) => `The marker of the store (${marker}) cannot be read.`,
  ),
  shuttingDown: defineError('SHUTTING_DOWN', 'The server is restarting. Please try again in a moment.'),
  overloaded: defineError('OVERLOADED', 'The server receives as much as it can. Please try again in a moment.'),

  // What a role may send.
  roleMayNotUpload: defineError('ROLE_NOT_ALLOWED', 'Your role may not send files.'),
  fileTooLarge: defineError(
    'FILE_TOO_LARGE',
    ({
      role,
      maxSize,
    }: {
      role: string
      maxSize: number
      size?: number | null | undefined
      rule?: string | undefined
    }) => `A ${role} may send at most ${formatSize(maxSize)}.`,
  ),
  typeNotAllowed: defineError(
    'TYPE_NOT_ALLOWED',
    ({ role, contentType }: { role: string; contentType: string; rule: string }) =>
      `A ${role} may not send files of type ${contentType}.`,
  ),
  typeContradictsStored: defineError(
    'TYPE_NOT_ALLOWED',
    ({ contentType }: { contentType: string; stored: string }) =>
      `This is not what it was said to be, but a file of type ${contentType}.`,
  ),
  noSuchCategory: defineError(
    'CATEGORY_NOT_ALLOWED',
    ({ known }: { known: string }) => `There is no such category; there are ${known}.`,
  ),
  categoryContradictsType: defineError(
    'CATEGORY_NOT_ALLOWED',
    ({ contentType, category }: { contentType: string; category: string }) =>
      `A file of type ${contentType} is not of category ${category}.`,
  ),
  categoryNotAllowed: defineError(
    'CATEGORY_NOT_ALLOWED',
    ({ role, category }: { role: string; category: string; rule: string }) =>
      `A ${role} may not send files of category ${category}.`,
  ),
  filenameTooLong: defineError(
    'INVALID_METADATA',
    ({ maxBytes }: { maxBytes: number }) => `A file name may have at most ${maxBytes} bytes.`,
  ),
  filenameNotText: defineError('INVALID_METADATA', 'The file name is not valid text.'),
  filenameNotAllowed: defineError(
    'INVALID_METADATA',
    ({ reason }: { reason: string; rule: string }) => `A file name ${reason}.`,
  ),
  fingerprintInvalid: defineError(
    'INVALID_METADATA',
    ({ maxBytes }: { maxBytes: number }) => `A fingerprint is text of 1 to ${maxBytes} bytes.`,
  ),
  creationsTooFast: defineError(
    'RATE_LIMITED',
    ({ perMinute }: { perMinute: number; rule: string; waitMs: number; retryAfter: number }) =>
      `You may begin at most ${perMinute} uploads a minute.`,
  ),
  tooManyOpen: defineError(
    'RATE_LIMITED',
    ({ most }: { most: number; rule: string; retryAfter: number }) =>
      `You may have at most ${most} uploads open at once.`,
  ),
  quotaExceeded: defineError('QUOTA_EXCEEDED', ({ reason }: { reason: string; rule: string }) => reason),
  repeatedBeyondQuota: defineError(
    'QUOTA_EXCEEDED',
    ({ limit }: { limit: number; rule: string; number: number }) =>
      `This chunk is there already, and you have sent your ${formatSize(limit)} of today (UTC).`,
  ),
}
